package judge

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryBrokenPromiseIsNamed has one history for each thing that a server can do wrong.
func TestEveryBrokenPromiseIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		want  Reason
		story string
	}{
		{"a write is gone", LostWrite, `register
			1 0-10 put x=a -> 5
			1 20-30 put x=b -> 6
			2 40-50 last x=a@5`},
		{"the only write is gone", LostWrite, `register
			1 0-10 put x=a -> 5
			2 40-50 last x=-`},
		{"a write that a retry confirmed is gone", LostWrite, `register
			1 0-10 put x=a -> 5
			1 20-30 put x=b id q -> unknown
			1 40-50 put x=b id q -> 6
			2 60-70 last x=a@5`},
		{"a write that was seen without an answer is gone", LostWrite, `register
			1 0-10 put x=a -> 5
			1 20-30 put x=b -> unknown
			2 40-50 get x=b@6
			2 60-70 last x=a@5`},
		{"a deleted key is back", LostWrite, `register
			1 0-10 put x=a -> 5
			1 20-30 put x=- -> 6
			2 60-70 last x=a@5`},
		{"what was seen at EVENTUAL is gone", LostWrite, `eventual
			1 0-10 put x=a ev -> accepted
			1 20-30 put x=b ev -> accepted
			2 40-50 get x=b@6 ev
			2 60-70 last x=a@5`},
		{"a read is old", StaleRead, `register
			1 0-10 put x=a -> 5
			1 20-30 put x=b -> 6
			2 40-50 get x=a@5
			2 60-70 last x=b@6`},
		{"a read is older than another read", StaleRead, `register
			1 0-10 put x=a -> 5
			1 20-90 put x=b -> 6
			2 30-40 get x=b@6
			3 50-60 get x=a@5
			2 95-99 last x=b@6`},
		{"a read finds nothing for a moment", StaleRead, `stamps
			1 0-10 put x=a -> 5
			2 40-50 get x=-
			2 60-70 last x=a@5`},
		{"a read finds nothing, and the delete was before the last write", StaleRead, `register
			1 0-10 put x=a -> 5
			1 12-14 put x=- -> 6
			1 16-18 put x=b -> 7
			2 40-50 get x=-
			2 60-70 last x=b@7`},
		{"a read finds nothing, and the delete comes later", StaleRead, `register
			1 0-10 put x=a -> 5
			2 20-30 get x=-
			2 32-36 get x=a@5
			1 40-50 put x=- -> 6
			2 60-70 last x=-`},
		{"half a batch is seen", HalfBatch, `batches
			1 0-10 put x=a y=b -> 5
			1 20-40 put x=c y=d -> 6
			2 25-35 get x=c@6 y=b@5
			2 50-60 last x=c@6 y=d@6`},
		{"half a batch is absent", HalfBatch, `batches
			1 0-40 put x=a y=b -> 5
			2 5-35 get x=a@5 y=-
			2 50-60 last x=a@5 y=b@5`},
		{"half a batch without an answer is there", HalfBatch, `batches
			1 0-10 put x=a y=b -> 5
			1 20-30 put x=c y=d -> unknown
			2 50-60 last x=c@6 y=b@5`},
		{"a batch that deletes is seen in part", HalfBatch, `batches
			1 0-10 put x=a y=b -> 5
			1 20-40 put x=c y=- -> 6
			2 25-35 get x=c@6 y=b@5
			2 50-60 last x=c@6 y=-`},
		{"the keys of a batch have two versions", HalfBatch, `batches
			1 0-10 put x=a y=b -> unknown
			2 50-60 get x=a@5
			2 70-80 get y=b@6`},
		{"a version is not larger than one before", VersionFalls, `register
			1 0-10 put x=a -> 5
			1 20-30 put x=b -> 4`},
		{"a version is the same as one before", VersionFalls, `register
			1 0-10 put x=a -> 5
			1 20-30 put x=b -> 5`},
		{"an unanswered batch is found below one before", VersionFalls, `register
			1 0-10 put x=a -> 5
			1 20-30 put x=b -> unknown
			3 40-50 get x=b@4`},
		{"a version is not larger than after", VersionFalls, `register
			1 0-10 put x=a after 9 -> 5`},
		{"two answers say that it was applied just now", AppliedTwice, `register
			1 0-10 put x=a id q -> 5
			1 20-30 put x=a id q -> 5`},
		{"a value is back with another version", AppliedTwice, `register
			1 0-10 put x=a id q -> 5
			2 20-30 put x=b -> 6
			1 40-50 put x=a id q -> 5 replayed
			3 60-70 last x=a@7`},
		{"a batch without an answer is applied again", AppliedTwice, `register
			1 0-10 put x=a -> unknown
			3 20-30 get x=a@5
			2 40-50 put x=b -> 6
			3 60-70 last x=a@7`},
		{"an element is in a list twice", AppliedTwice, `append
			1 0-10 put l=1 -> 5
			1 20-30 put l=1,2,2 if l=1 -> 6
			2 40-50 last l=1,2,2@6`},
		{"a version is given to two writes", VersionReused, `register
			1 0-30 put x=a -> 5
			2 0-30 put x=b -> 5`},
		{"a retry gets another answer", AnswerChanged, `register
			1 0-10 put x=a id q -> 5
			1 20-30 put x=a id q -> 6 replayed`},
		{"what was applied is refused", AnswerChanged, `register
			1 0-10 put x=a if x=- id q -> 5
			1 20-30 put x=a if x=- id q -> refused`},
		{"a value that nobody wrote", UnwrittenValue, `register
			1 0-10 put x=a -> 5
			2 20-30 get x=z@6`},
		{"the value of another key", UnwrittenValue, `batches
			1 0-10 put x=a y=b -> 5
			2 20-30 get x=b@5 y=b@5`},
		{"a batch that was refused", RefusedSeen, `register
			1 0-10 put x=a -> 5
			2 20-30 put x=b if x=- -> refused
			3 40-50 get x=b@6`},
		{"a batch whose call did nothing", RefusedSeen, `register
			1 0-10 put x=a -> nothing
			3 40-50 get x=a@6`},
		{"a value before it was written", FromTheFuture, `register
			1 0-10 get x=a@5
			2 20-30 put x=a -> 5`},
		{"a write on condition of what was overwritten", ConditionIgnored, `register
			1 0-10 put x=a -> 5
			2 20-30 put x=b -> 6
			3 40-50 put x=c if x=a -> 7`},
		{"a write on condition that the key is not there", ConditionIgnored, `bank
			1 0-10 put x=1_a -> 5
			2 20-30 put x=1_b if none -> 6`},
		{"a session goes back", SessionBack, `sessions
			1 0-10 put x=a seq -> 5
			1 20-30 put x=b seq after 5 -> 6
			2 40-50 get x=b@6 seq
			2 60-70 get x=a@5 seq after 6`},
		{"a session does not see what it wrote", SessionBack, `sessions
			1 20-30 put x=b seq -> 6
			1 60-70 get x=- seq after 6`},
		{"a read is older than what it comes after", AfterIgnored, `sessions
			1 0-10 put x=a seq -> 5
			1 20-30 put y=b seq -> 6
			2 40-50 get y=b@6 seq
			2 60-70 get x=- seq after 6`},
		{"a condition that held is refused", NoOrder, `register
			1 0-10 put x=a -> 5
			2 20-30 put x=b if x=a -> refused
			3 40-50 last x=a@5`},
		{"versions lie consistently", NoOrder, `batches
			1 0-10 put x=a y=b -> 5
			1 20-30 put x=c -> 6
			1 40-50 put y=d -> 6
			2 22-60 get x=a@5 y=d@6
			2 70-80 last x=c@6 y=d@6`},
		{"two batches in two orders", G0, `append
			1 0-90 put x=1 y=2,1 -> 5
			2 0-90 put x=1,2 y=2 -> 6`},
		{"a batch before the one it depends on", G1c, `bank
			1 0-90 put x=1_a -> 9
			2 0-90 put x=1_b if x=1_a -> 5`},
		{"a batch is seen and one before it is not", GSingle, `append
			1 0-90 put x=1 y=1 -> 5
			2 0-90 put x=1,2 z=2 if x=1&z=- -> 6
			3 0-90 get z=2@6 y=-`},
		{"two appends continue one list", GSingle, `bank
			1 0-10 put x=1_a -> 5
			2 20-90 put x=1_b if x=1_a -> 6
			3 20-90 put x=1_c if x=1_a -> 7`},
		{"two readers disagree on what came first", G2, `append
			1 0-90 put x=1 -> 5
			2 0-90 put y=2 -> 6
			3 0-90 get x=1@5 y=-
			4 0-90 get x=- y=2@6`},
		{"a later batch comes first", G0 + realtimeSuffix, `append
			1 0-10 put x=2,1 -> 5
			2 20-30 put x=2 -> 6`},
		{"a later batch comes before what was seen", G1c + realtimeSuffix, `append
			1 0-90 put x=2,1 -> 5
			3 5-10 get x=2,1@5
			2 20-30 put x=2 -> 6`},
		{"a list misses what had been answered", GSingle + realtimeSuffix, `append
			1 0-10 put x=1 -> 5
			3 20-30 get x=-`},
		{"a batch that was built upon is seen in part", GSingle + realtimeSuffix, `append
			1 0-10 put x=1 -> 5
			2 20-30 put x=1,2 y=2 if x=1&y=- -> unknown
			3 40-50 put x=1,2,3 if x=1,2 -> 7
			3 60-70 get y=-`},
		{"readers and time disagree", G2 + realtimeSuffix, `append
			1 0-90 put x=1 -> 5
			2 0-90 put y=2 -> 6
			3 5-10 get x=1@5
			3 20-30 get y=-
			4 0-90 get y=2@6 x=-`},
		{"a list that is not continued", ListForks, `append
			1 0-10 put l=1 -> 5
			2 20-30 put l=1,2 if l=1 -> 6
			3 20-30 put l=1,3 if l=1 -> 7`},
		{"money is made", WrongSum, `bank
			1 0-10 put a=100_1 b=100_2 if none -> 5
			1 20-30 put a=90_3 b=120_4 if a=100_1&b=100_2 -> 6
			2 40-50 get a=90_3@6 b=120_4@6`},
		{"an account is overdrawn", Overdrawn, `bank
			1 0-10 put a=100_1 b=100_2 if none -> 5
			1 20-30 put a=-20_3 b=220_4 if a=100_1&b=100_2 -> 6
			2 40-50 get a=-20_3@6 b=220_4@6`},
		{"two stamps are seen", TwoStamps, `stamps
			1 0-10 put x=a y=a z=a -> 5
			1 20-90 put x=b y=b z=b -> 6
			2 25-50 get z=b@6 y=a@5`},
		{"the nodes differ in the end", Divergence, `eventual
			1 0-10 put x=a ev -> accepted
			1 20-30 put x=b ev -> accepted
			2 40-50 last x=b@6 ev at n1
			2 40-50 last x=a@5 ev at n2`},
		{"the nodes have different versions in the end", Divergence, `eventual
			1 0-10 put x=a ev -> accepted
			2 40-50 last x=a@6 ev at n1
			2 40-50 last x=a@5 ev at n2`},
		{"an accepted batch is gone", LostAccepted, `eventual
			1 0-10 put x=a ev -> accepted
			2 40-50 last x=-`},
		{"a node says that it is defect", Defect, `register
			1 0-10 put x=a -> defect`},
	} {
		t.Run(string(c.want)+"/"+c.name, func(t *testing.T) {
			r := judgeStory(t, c.story)
			if !r.Has(c.want) {
				t.Errorf("want %q, got %v", c.want, r.Violations)
			}
			if r.Verdict() != Violated {
				t.Errorf("the verdict is %s", r.Verdict())
			}
		})
	}
}

// TestTheShortestExplanationComesFirst reads what a person would.
func TestTheShortestExplanationComesFirst(t *testing.T) {
	r := judgeStory(t, `batches
		1 0-10 put x=a y=b -> 5
		1 12-14 put x=e y=f -> 6
		3 15-16 get x=e@6
		1 20-40 put x=c y=d -> 7
		2 25-35 get x=c@7 y=f@6
		4 26-27 get x=z@3
		2 50-60 last x=c@7 y=d@7`)
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if !strings.HasPrefix(lines[0], "VIOLATED: ") || !strings.HasPrefix(lines[1], "unwritten value in batches/1: op 6 read \"z\" of key x") {
		t.Errorf("the report begins with:\n%s", b.String())
	}
	if !strings.Contains(lines[2], "op 6 ") || !strings.Contains(lines[2], `linearizable read x="z"@3 -> ok`) {
		t.Errorf("the operation is not below: %s", lines[2])
	}
}

// TestAnExplanationHasOnlyWhatItNeeds gives the search long histories with a short mistake.
func TestAnExplanationHasOnlyWhatItNeeds(t *testing.T) {
	for _, c := range []struct {
		name, story string
		want        []uint64
	}{
		// A write may only be left out when no refusal is left that it may have caused.
		{"a refusal", `register
			1 0-10 put x=a -> 5
			2 0-10 put y=b -> 1
			1 20-30 put x=c -> 6
			2 20-30 get x=a@5
			1 40-50 put x=d if x=c -> 7
			3 60-70 put x=e if x=d -> refused
			3 80-90 put x=f -> 8
			1 100-110 get x=f@8
			2 140-150 last x=f@8 y=b@1`, []uint64{1, 3, 5, 6}},
		// The write is answered long after the reads that it is needed to explain.
		{"a write that is seen and gone", `register
			2 0-5 put x=z -> 1
			1 0-100 put x=a -> 5
			3 10-20 get x=a@5
			3 30-40 get x=z@1
			2 50-60 get x=a@5
			2 120-130 put x=c -> 6
			2 140-150 last x=c@6`, []uint64{1, 2, 3, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, v := range judgeStory(t, c.story).Violations {
				if v.Reason != NoOrder {
					continue
				}
				var numbers []uint64
				for _, op := range v.Ops {
					numbers = append(numbers, op.Number)
				}
				if !slices.Equal(numbers, c.want) {
					t.Errorf("the explanation has operations %v, want %v", numbers, c.want)
				}
				return
			}
			t.Errorf("an order was found")
		})
	}
}
