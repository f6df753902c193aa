package judge

import (
	"strings"
	"testing"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// TestWhatIsRightPasses has what a server may do, unknown outcomes above all.
func TestWhatIsRightPasses(t *testing.T) {
	for _, c := range []struct{ name, story string }{
		{"reads beside a write see it or not", `register
			1 0-10 put x=a -> 5
			1 20-90 put x=b -> 6
			2 30-40 get x=a@5
			3 30-50 get x=b@6
			2 95-99 last x=b@6`},
		{"a read begins as a write is answered", `register
			1 0-10 put x=a -> 5
			1 20-30 put x=b -> 6
			2 30-40 get x=a@5
			2 95-99 last x=b@6`},
		{"a LINEARIZABLE read is current, whatever it comes after", `batches
			1 0-10 put x=a -> 5
			2 20-60 put y=b -> 3
			1 30-40 get x=a@5 y=- after 5`},
		{"an unknown batch is applied", `batches
			1 0-10 put x=a y=b -> 5
			1 20-30 put x=c y=d -> unknown
			2 40-50 get x=c@6 y=d@6
			2 60-70 last x=c@6 y=d@6`},
		{"an unknown batch is applied much later", `batches
			1 0-10 put x=a y=b -> 5
			1 20-30 put x=c y=d -> unknown
			2 40-50 get x=a@5 y=b@5
			2 60-70 get x=c@6 y=d@6
			2 80-90 last x=c@6 y=d@6`},
		{"an unknown batch is never applied", `batches
			1 0-10 put x=a y=b -> 5
			1 20-30 put x=c y=d -> unknown
			2 40-50 get x=a@5 y=b@5
			2 60-70 last x=a@5 y=b@5`},
		{"a call without a return is unknown", `batches
			1 0-10 put x=a y=b -> 5
			1 20-? put x=c y=d
			3 30-? get x=- y=-
			2 60-70 last x=c@6 y=d@6`},
		{"a retry settles an unknown batch as applied before", `register
			1 0-10 put x=a id q -> unknown
			2 20-30 get x=a@5
			1 40-50 put x=a id q -> 5 replayed
			2 60-70 last x=a@5`},
		{"a retry settles an unknown batch by applying it", `register
			1 0-10 put x=a id q -> unknown
			2 20-30 get x=-
			1 40-50 put x=a id q -> 5
			2 60-70 last x=a@5`},
		{"a retry settles an unknown batch as refused", `register
			3 0-5 put x=z -> 4
			1 6-10 put x=a if x=- id q -> unknown
			1 40-50 put x=a if x=- id q -> refused
			2 60-70 last x=z@4`},
		{"a retry that did nothing settles nothing", `register
			1 0-10 put x=a id q -> unknown
			1 20-30 put x=a id q -> nothing
			2 60-70 last x=a@5`},
		{"a batch whose first call did nothing is applied by the next", `register
			1 0-10 put x=a id q -> nothing
			1 20-30 put x=a id q -> 5
			2 60-70 last x=a@5`},
		{"the first answer is already a repetition", `register
			1 0-10 put x=a id q -> 5 replayed
			2 60-70 last x=a@5`},
		{"two calls at the same time, one applies", `register
			1 0-20 put x=a id q -> 5
			1 0-30 put x=a id q -> 5 replayed
			2 60-70 last x=a@5`},
		{"an unknown conditional batch finds that its condition does not hold", `batches
			1 0-10 put x=a y=b -> 5
			2 20-30 put x=c y=d if x=a&y=b -> unknown
			3 25-40 put x=e y=f if x=a&y=b -> 6
			2 60-70 last x=e@6 y=f@6`},
		{"an unknown batch breaks a condition", `register
			1 0-10 put x=a -> 5
			2 20-30 put x=b -> unknown
			3 40-50 put x=c if x=a -> refused
			2 60-70 last x=b@6`},
		{"an unknown delete makes a condition hold", `register
			1 0-10 put x=a -> 5
			2 20-30 put x=- -> unknown
			3 40-50 put x=b if x=- -> 7
			2 60-70 last x=b@7`},
		{"an unknown delete is found by a read", `register
			1 0-10 put x=a -> 5
			2 20-30 put x=- -> unknown
			3 40-50 get x=-
			2 60-70 last x=-`},
		{"a key is deleted and written again", `register
			1 0-10 put x=a -> 5
			1 20-30 put x=- -> 6
			2 40-50 get x=-
			1 60-70 put x=b if x=- -> 7
			2 80-90 last x=b@7`},
		{"a delete beside a read", `register
			1 0-10 put x=a -> 5
			1 20-60 put x=- -> 6
			2 30-40 get x=-
			3 30-40 get x=a@5`},
		{"batches of different keys share a version", `batches
			1 0-10 put x=a -> 5
			1 20-30 put y=b -> 5
			2 40-50 get x=a@5 y=b@5`},
		{"versions of different keys say nothing about time", `batches
			1 0-10 put x=a -> 10
			1 20-30 put y=b -> 3
			2 40-50 get x=a@10 y=b@3`},
		{"a part of a batch is overwritten", `batches
			1 0-10 put x=a y=b -> 5
			1 20-30 put y=c -> 6
			2 40-50 get x=a@5 y=c@6`},
		{"a part of a batch is deleted", `batches
			1 0-10 put x=a y=b -> 5
			1 20-30 put y=- -> 6
			2 40-50 get x=a@5 y=-`},
		{"a batch of more keys than a read names", `stamps
			1 0-10 put x=a y=a z=a -> 5
			2 40-50 get z=a@5 x=a@5`},
		{"nothing is there yet", `stamps
			2 0-50 get z=- x=-
			1 0-50 put x=a y=a z=a -> 5`},
		{"transfers keep the sum", `bank
			1 0-10 put a=100_1 b=100_2 if none -> 5
			1 20-30 put a=90_3 b=110_4 if a=100_1&b=100_2 -> 6
			2 25-50 put a=95_5 b=105_6 if a=100_1&b=100_2 -> refused
			2 40-50 get a=90_3@6 b=110_4@6`},
		{"lists are continued by unknown batches", `append
			1 0-10 put l=1 if none -> 5
			1 20-30 put l=1,2 if l=1 -> unknown
			2 40-50 put l=1,2,3 if l=1,2 -> 7
			3 60-70 last l=1,2,3@7`},
		{"lists are not continued by a batch that was never applied", `append
			1 0-10 put l=1 if none -> 5
			1 20-30 put l=1,2 if l=1 -> unknown
			2 40-50 put l=1,3 if l=1 -> 6
			2 60-70 last l=1,3@6`},
		{"readers see lists grow", `append
			1 0-10 put x=1 -> 5
			2 0-90 put y=2 -> 6
			3 20-30 get x=1@5 y=-
			4 20-40 get x=1@5 y=2@6`},
		{"a SEQUENTIAL read without a session is old", `sessions
			1 0-10 put x=a seq -> 5
			1 20-30 put x=b seq after 5 -> 6
			2 40-50 get x=a@5 seq
			3 40-50 get x=- seq
			3 60-70 last x=b@6`},
		{"LINEARIZABLE reads find what SEQUENTIAL batches wrote", `batches
			1 0-10 put x=a y=b seq -> 5
			1 20-30 put x=c seq -> unknown
			2 40-50 get x=c@6 y=b@5
			3 60-70 last x=c@6 y=b@5`},
		{"a SEQUENTIAL read sees a part of a batch", `batches
			1 0-10 put x=a y=b -> 5
			1 20-30 put x=c y=d -> 6
			2 40-50 get x=c@6 y=b@5 seq
			2 60-70 last x=c@6 y=d@6`},
		{"a session sees what it has seen", `sessions
			1 0-10 put x=a seq -> 5
			1 20-30 put x=b seq after 5 -> 6
			2 40-50 get x=a@5 seq after 5
			2 60-70 get x=b@6 seq after 5
			2 80-90 get x=b@6 seq after 6`},
		{"the groups of a SEQUENTIAL batch have versions of their own", `sessions
			1 0-10 put x=a y=b seq -> 7
			2 40-50 get x=a@3 y=b@7 seq`},
		{"EVENTUAL reads are old and agree in the end", `eventual
			1 0-10 put x=a ev -> accepted
			1 20-30 put x=b ev -> accepted
			2 25-28 get x=- ev
			2 40-50 get x=a@5 ev
			2 60-70 last x=b@6 ev at n1
			2 60-70 last x=b@6 ev at n2
			2 80-90 last x=b@6`},
		{"an EVENTUAL batch that was not accepted for sure is gone", `eventual
			1 0-10 put x=a ev -> unknown
			2 80-90 last x=-`},
		{"nodes that are away are not compared", `eventual
			1 0-10 put x=a ev -> accepted
			2 60-70 last x=a@5 ev at n1
			2 60-70 last x=- ev at n2 -> nothing
			2 80-90 last x=a@5`},
		{"a run that was cut short", `eventual
			1 0-10 put x=a ev -> accepted
			2 5-? get x=-
			cut`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judgeStory(t, c.story)
			for i := range r.Violations {
				t.Errorf("%s %v", &r.Violations[i], r.Violations[i].Ops)
			}
			if r.Undecided > 0 {
				t.Errorf("%d searches did not end", r.Undecided)
			}
		})
	}
}

// TestADeathExcusesAcceptedBatchesOnly is the documented class of losses: a process that ends
// may lose what it has accepted last, and nothing else.
func TestADeathExcusesAcceptedBatchesOnly(t *testing.T) {
	killed := func(run *history.Run) { run.Killed = true }
	// n2 has been running since before the run.
	const accepted = `eventual
		pulse n2 500 700
		1 600-610 put x=a ev at n2 -> accepted
		1 600-612 put y=b ev at n2 -> accepted
		2 8000-8010 last x=- y=-`
	const died, ranOn = "\n\t\tpulse n2 3000 900\n\t\tpulse n2 3500 1400", "\n\t\tpulse n2 1000 1200\n\t\tpulse n2 3000 3200"
	for _, c := range []struct {
		name, story string
		run         func(*history.Run)
		want        Reason
		says        string
	}{
		{"it is not seen again", accepted, killed, "", "2 accepted by n2, whose process ended, within 2.0 ms, until 0.612 s"},
		{"another process is there later", accepted + died, killed, "", "whose process ended"},
		{"nothing is known of it", strings.Replace(accepted, "pulse n2", "pulse n1", 1), killed, "", "which gave no sign of life"},
		{"it runs on", accepted + ranOn, killed, LostAccepted, "whose process ran on"},
		{"it runs on, and another node dies", accepted + ranOn + strings.ReplaceAll(died, "n2", "n1"), killed, LostAccepted, "whose process ran on"},
		{"it runs on and dies later", accepted + ranOn + "\n\t\tpulse n2 6000 900", killed, LostAccepted, "whose process ran on"},
		{"nobody kills nodes", accepted + died, func(*history.Run) {}, LostAccepted, "whose process ended"},
		{"as many as are allowed", accepted + died, func(run *history.Run) { run.LostOK = 2 }, "", ""},
		{"more than are allowed", accepted + died, func(run *history.Run) { run.LostOK = 1 }, LostAccepted, ""},
		{"acknowledged batches", strings.NewReplacer(" ev", "", "accepted", "5").Replace(accepted + died), killed, LostWrite, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judgeStory(t, c.story, c.run)
			var b strings.Builder
			if err := r.Write(&b); err != nil {
				t.Fatal(err)
			}
			if (c.want == "") != (len(r.Violations) == 0) || c.want != "" && !r.Has(c.want) || !strings.Contains(b.String(), c.says) {
				t.Errorf("want %q and %q, got\n%s", c.want, c.says, b.String())
			}
		})
	}
}
