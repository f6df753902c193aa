package judge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/internal/check/history"
)

const enough = `register
	1 0-1 put x=a -> 1
	1 2-3 put x=b -> 2
	1 4-5 put x=c -> 3
	1 6-7 put x=d -> 4
	1 8-9 put x=e -> 5
	1 10-11 put x=f -> 6
	1 12-13 put x=g -> 7
	1 14-15 put x=h -> 8
	1 16-17 put x=i -> 9
	1 18-19 put x=j -> 10
	2 20-21 get x=j@10
	2 22-23 get x=j@10
	2 24-25 get x=j@10
	2 26-27 get x=j@10
	2 28-29 get x=j@10
	2 30-31 get x=j@10
	2 32-33 get x=j@10
	2 34-35 get x=j@10
	2 36-37 get x=j@10
	2 38-39 last x=j@10`

func TestEnoughThatIsRightHolds(t *testing.T) {
	r := judgeStory(t, enough)
	if r.Verdict() != Holds {
		t.Errorf("got %s: %v %v", r.Verdict(), r.Violations, r.Unsure)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(b.String(), "HOLDS: 20 operations agree with what is promised\n") {
		t.Errorf("the report ends with:\n%s", b.String())
	}
}

func TestTooLittleIsNoPass(t *testing.T) {
	failed := strings.Repeat("\n\t1 40-41 put x=z -> nothing", 80)
	unique := func(story string) string {
		for i := 0; strings.Contains(story, "=z "); i++ {
			story = strings.Replace(story, "=z ", "=z"+strings.Repeat("z", i)+"_ ", 1)
		}
		return story
	}
	for _, c := range []struct {
		name, story string
		floor       Floor
		want        Verdict
	}{
		{"nothing at all", "register", "", Inconclusive},
		{"reads only", "register" + strings.Repeat("\n1 0-1 get x=-", 20), "", Inconclusive},
		{"half of it", enough + unique(failed), "50%", Inconclusive},
		{"a fifth of it", enough + unique(failed), "20%", Holds},
		{"the number", enough, "20", Holds},
		{"one below the number", enough, "21", Inconclusive},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := History(tell(t, c.story), Options{MinOK: c.floor})
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict() != c.want {
				t.Errorf("got %s: %v %v", r.Verdict(), r.Violations, r.Unsure)
			}
		})
	}
}

func TestAFloorIsAShareOrANumber(t *testing.T) {
	for _, good := range []Floor{"0", "7", "0%", "12.5%", "100%"} {
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []Floor{"", "x", "-1", "101%", "-1%", "1.5"} {
		if bad.Validate() == nil {
			t.Errorf("%q is taken for a floor", bad)
		}
	}
}

// TestASearchWithoutResultIsNoPass gives the search no time.
func TestASearchWithoutResultIsNoPass(t *testing.T) {
	var b strings.Builder
	b.WriteString(enough)
	for i := range 16 { // all in one moment, and no order of them ends with what is read
		b.WriteString("\n\t1 40-90 put x=u" + strings.Repeat("u", i) + " -> unknown")
	}
	b.WriteString("\n\t3 45-46 get x=j@10\n\t4 47-48 put x=y if x=j -> refused\n\t4 49-50 put x=yy if x=j -> refused\n\t3 95-99 get x=j@10")
	r, err := History(tell(t, b.String()), Options{SearchTime: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Undecided == 0 || r.Verdict() != Inconclusive {
		t.Errorf("%d searches did not end, and the verdict is %s: %v", r.Undecided, r.Verdict(), r.Violations)
	}
}

func TestAnUnreadEndIsNoPass(t *testing.T) {
	r := judgeStory(t, strings.ReplaceAll(enough, "last", "get"))
	if r.Verdict() != Inconclusive || r.Unread != 1 {
		t.Errorf("got %s with %d unread trials", r.Verdict(), r.Unread)
	}
}

// TestNodesThatAreNeverComparedAreNoPass has an end in which one node is away.
func TestNodesThatAreNeverComparedAreNoPass(t *testing.T) {
	story := strings.ReplaceAll(strings.ReplaceAll(enough, "register", "eventual"), " put x", " put ev x")
	for version := 10; version > 0; version-- {
		story = strings.ReplaceAll(story, fmt.Sprintf("-> %d", version), "-> accepted")
	}
	one := strings.Replace(story, "last", "last at n1 ev x=j@10\n\t2 40-41 last", 1)
	if r := judgeStory(t, one); r.Verdict() != Inconclusive || r.Quiet != 1 || r.Compared != 0 {
		t.Errorf("one of two nodes: got %s, %d compared: %v", r.Verdict(), r.Compared, r.Violations)
	}
	two := strings.Replace(one, "last at n1", "last at n2 ev x=j@10\n\t2 40-41 last at n1", 1)
	if r := judgeStory(t, two); r.Verdict() != Holds || r.Compared != 1 {
		t.Errorf("both nodes: got %s, %d compared: %v %v", r.Verdict(), r.Compared, r.Violations, r.Unsure)
	}
}

// TestAValueWrittenTwiceIsNoHistory: rules that know a batch by its values would be wrong.
func TestAValueWrittenTwiceIsNoHistory(t *testing.T) {
	_, err := History(tell(t, "register\n1 0-1 put x=a -> 1\n1 2-3 put x=a -> 2"), Options{})
	if err == nil {
		t.Error("two batches with one value are judged")
	}
}

func TestARunThatIsCutShortIsSaidToBe(t *testing.T) {
	r := judgeStory(t, enough+"\ncut")
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	if r.Verdict() != Holds || !strings.Contains(b.String(), "did not come to its end: 1 trials were not read") {
		t.Errorf("got %s:\n%s", r.Verdict(), b.String())
	}
}

// TestOptionsComeBeforeWhatTheRunSaid lets verify look at a history in another way.
func TestOptionsComeBeforeWhatTheRunSaid(t *testing.T) {
	lost := "eventual\n1 0-10 put x=a ev -> accepted\n2 80-90 last x=-"
	yes, no, one := true, false, 1
	killed := func(run *history.Run) { run.Killed = true }
	for _, c := range []struct {
		options Options
		violate bool
	}{{Options{}, false}, {Options{Killed: &yes}, false}, {Options{Killed: &no}, true}, {Options{Killed: &no, LostOK: &one}, false}} {
		r, err := History(tell(t, lost, killed), c.options)
		if err != nil {
			t.Fatal(err)
		}
		if r.Has(LostAccepted) != c.violate {
			t.Errorf("%+v: got %v", c.options, r.Violations)
		}
	}
}
