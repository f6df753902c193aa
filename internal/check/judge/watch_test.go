package judge

import (
	"strings"
	"testing"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// TestEveryWrongFollowerIsNamed has one history for each thing that can go wrong on the way to
// those who follow.
func TestEveryWrongFollowerIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		want  Reason
		story string
	}{
		{"a batch is left out", NeverCame, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			1 20-30 put x=b -> 6
			watch 35 event @6 x=b`},
		{"a delete is left out", NeverCame, `watch
			watch 1 began
			1 5-10 put x=- y=- -> 5
			1 20-30 put x=b -> 6
			watch 35 event @6 x=b`},
		{"a batch of another key is left out, which the last shows", NeverCame, `watch
			watch 1 began
			1 5-10 put y=a -> 5
			1 20-30 put x=b -> 6
			watch 35 event @6 x=b
			1 40-50 put x=c y=d final -> 7
			watch 55 event @7 x=c y=d`},
		{"a batch is left out from one watch to the next", NeverCame, `watch
			watch 0 ask
			watch 1 began
			watch 2 over
			1 5-10 put x=a -> 5
			watch 12 ask on
			1 20-30 put x=b -> 6
			watch 35 event @6 x=b`},
		{"a batch without an answer came to somebody else", NeverCame, `watch
			watch 1 began
			sync 1 restart
			sync 2 complete
			1 5-10 put x=a -> unknown
			sync 12 event @5 x=a
			1 20-30 put x=b -> 6
			watch 35 event @6 x=b
			sync 35 event @6 x=b`},
		{"a batch is neither in the picture nor behind it", NeverCame, `watch
			sync 0 ask
			1 1-20 put x=a -> 5
			sync 5 restart
			sync 6 complete
			1 25-30 put x=b -> 6
			sync 35 event @6 x=b`},
		{"a delete is left out behind a picture without the key", NeverCame, `watch
			sync 0 ask
			sync 5 restart
			sync 6 complete
			1 10-12 put x=- -> 5
			1 25-30 put x=b -> 6
			sync 35 event @6 x=b`},
		{"the picture has an older one, and the next is left out", NeverCame, `watch
			1 0-5 put x=a -> 5
			sync 6 ask
			1 7-20 put x=b -> 6
			sync 8 restart
			sync 9 items x=a@5
			sync 10 complete
			1 25-30 put x=c -> 7
			sync 35 event @7 x=c`},
		{"a batch comes twice", CameTwice, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			watch 15 event @5 x=a
			watch 15 event @5 x=a`},
		{"a batch comes again when another is asked", CameTwice, `watch
			watch 1 began
			1 5-10 put x=a y=- -> 5
			watch 15 event @5 x=a y=-
			watch 16 over
			watch 17 ask on
			watch 18 event @5 x=a y=-`},
		{"a batch comes in halves", HalfCame, `watch
			watch 1 began
			1 5-10 put x=a y=b -> 5
			watch 15 event @5 x=a
			watch 15 event @5 y=b`},
		{"a batch comes without its delete", HalfCame, `watch
			watch 1 began
			1 5-10 put x=a y=- -> 5
			watch 15 event @5 x=a`},
		{"half a batch comes, and the picture has not the rest", HalfCame, `watch
			sync 0 ask
			1 1-20 put x=a y=b -> 5
			sync 5 restart
			sync 6 complete
			sync 22 event @5 x=a`},
		{"a batch comes with another version", AlteredCame, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			watch 15 event @6 x=a`},
		{"a batch comes with another version than was read", AlteredCame, `watch
			watch 1 began
			1 5-10 put x=a -> unknown
			2 12-14 get x=a@5
			watch 15 event @6 x=a`},
		{"a batch comes with two versions to two", AlteredCame, `watch
			watch 1 began
			sync 1 restart
			sync 2 complete
			1 5-10 put x=a -> unknown
			watch 15 event @6 x=a
			sync 15 event @7 x=a`},
		{"a batch comes with a delete that it has not", AlteredCame, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			1 5-10 put y=b -> 4
			watch 15 event @5 x=a y=-`},
		{"two batches come as one", AlteredCame, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			2 5-10 put y=b -> 5
			watch 15 event @5 x=a y=b`},
		{"a batch that was refused comes", RefusedCame, `watch
			watch 1 began
			1 5-10 put x=a if x=z -> refused
			watch 15 event @5 x=a`},
		{"a batch whose call did nothing comes", RefusedCame, `watch
			watch 1 began
			1 5-10 put x=a -> nothing
			watch 15 event @5 x=a`},
		{"what nobody wrote comes", UnwrittenCame, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			watch 15 event @6 x=z`},
		{"a delete comes that nobody made", UnwrittenCame, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			watch 15 event @6 x=-`},
		{"a delete comes with another version", UnwrittenCame, `watch
			watch 1 began
			1 5-10 put x=- -> 5
			watch 15 event @6 x=-`},
		{"a key expires that had no time to live", UnwrittenCame, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			watch 15 event @5 x=a
			watch 16 event x=- expired`},
		{"a delete comes as the end of a time", UnwrittenCame, `watch
			watch 1 began
			1 5-10 put x=- -> 5
			watch 16 event @5 x=- expired`},
		{"a change of somebody else's key comes", UnwrittenCame, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			watch 16 event @6 other/x=a`},
		{"a batch comes before it is sent", FromTheFuture, `watch
			watch 1 began
			watch 3 event @5 x=a
			1 5-10 put x=a -> 5`},
		{"a batch is in a picture before it is sent", FromTheFuture, `watch
			sync 0 ask
			sync 1 restart
			sync 2 items x=a@5
			sync 3 complete
			1 5-10 put x=a -> 5`},
		{"the batches of a key come in another order", WatchFalls, `watch
			watch 1 began
			1 5-10 put x=a -> 5
			1 20-30 put x=b -> 6
			watch 35 event @6 x=b
			watch 35 event @5 x=a`},
		{"the versions of a key fall, and either may have been first", WatchFalls, `watch
			watch 1 began
			1 5-30 put x=a -> 5
			2 5-30 put x=b -> 6
			watch 35 event @6 x=b
			watch 35 event @5 x=a`},
		{"the versions rise and time does not", WatchFalls, `watch
			watch 1 began
			1 5-10 put x=a y=- -> 6
			1 20-30 put x=b -> 5
			watch 35 event @5 x=b
			watch 35 event @6 x=a y=-`},
		{"the picture has it already, by its version", PictureRepeats, `watch
			sync 0 ask
			1 1-20 put x=a -> 5
			sync 5 restart
			sync 6 items x=a@5
			sync 7 complete
			sync 9 event @5 x=a`},
		{"the picture has something later", PictureRepeats, `watch
			sync 0 ask
			1 1-20 put x=a -> 5
			2 1-20 put x=b -> 6
			sync 5 restart
			sync 6 items x=b@6
			sync 7 complete
			sync 9 event @5 x=a`},
		{"the picture has it already, by time", PictureRepeats, `watch
			1 1-2 put x=a -> 5
			1 3-4 put x=- -> 6
			sync 5 ask
			sync 6 restart
			sync 7 complete
			sync 9 event @6 x=-`},
		{"the picture has what nobody wrote", WrongPicture, `watch
			1 1-2 put x=a -> 5
			sync 5 ask
			sync 6 restart
			sync 7 items x=z@6
			sync 8 complete`},
		{"the picture has a batch that was refused", WrongPicture, `watch
			1 1-2 put x=a if x=z -> refused
			sync 5 ask
			sync 6 restart
			sync 7 items x=a@6
			sync 8 complete`},
		{"the picture has another version", WrongPicture, `watch
			1 1-2 put x=a -> 5
			sync 5 ask
			sync 6 restart
			sync 7 items x=a@6
			sync 8 complete`},
		{"the picture has less than was acknowledged", WrongPicture, `watch
			1 1-2 put x=a y=b -> 5
			sync 5 ask
			sync 6 restart
			sync 7 items x=a@5
			sync 8 complete`},
		{"a batch came, and a later read does not see it", LostWrite, `watch
			watch 1 began
			1 3-5 put x=a -> 5
			watch 6 event @5 x=a
			1 7-10 put x=b -> unknown
			watch 15 event @6 x=b
			2 20-30 last x=a@5`},
	} {
		t.Run(string(c.want)+"/"+c.name, func(t *testing.T) {
			r := judgeStory(t, c.story)
			if !r.Has(c.want) || r.Verdict() != Violated {
				t.Errorf("want %q, got %s: %v", c.want, r.Verdict(), r.Violations)
			}
		})
	}
}

// TestWhatFollowersMaySeePasses has what is promised to nobody, and what is unknown.
func TestWhatFollowersMaySeePasses(t *testing.T) {
	for _, c := range []struct{ name, story string }{
		{"every batch, by two watches", `watch
			watch 0 ask
			watch 1 began
			1 5-10 put x=a y=b -> 5
			watch 9 event @5 x=a y=b
			watch 11 over
			1 12-14 put x=- -> 6
			watch 15 ask on
			watch 16 event @6 x=-
			1 20-30 put x=c y=d final -> 7
			watch 35 event @7 x=c y=d
			2 40-50 last x=c@7 y=d@7`},
		{"a batch comes before its answer", `watch
			watch 1 began
			1 5-20 put x=a -> 5
			watch 8 event @5 x=a`},
		{"what was called before the watch began may be left out, or not", `watch
			1 0-5 put x=a -> 5
			1 0-5 put y=b -> 5
			watch 3 began
			watch 4 event @5 y=b
			1 8-9 put x=c y=d -> 6
			watch 10 event @6 x=c y=d`},
		{"batches without a key in common come in any order", `watch
			watch 1 began
			1 5-10 put x=a -> 5
			1 20-30 put y=b -> 6
			watch 35 event @6 y=b
			watch 36 event @5 x=a`},
		{"unknown batches come or not", `watch
			watch 1 began
			1 5-10 put x=a -> unknown
			1 11-12 put x=b -> unknown
			1 13-14 put x=- -> unknown
			1 15-16 put x=- -> unknown
			watch 20 event @5 x=b
			watch 21 event @6 x=-
			1 22-23 put x=c -> 8
			watch 24 event @8 x=c`},
		{"deletes that may be of two batches are of one", `watch
			watch 1 began
			sync 1 restart
			sync 2 complete
			1 5-10 put x=- -> unknown
			2 5-10 put x=- y=- -> unknown
			watch 20 event @5 x=-
			watch 21 event @6 x=- y=-
			sync 20 event @5 x=-
			sync 21 event @6 x=- y=-
			1 22-23 put x=c -> 8
			watch 24 event @8 x=c
			sync 24 event @8 x=c`},
		{"refused batches do not come", `watch
			watch 1 began
			1 5-10 put x=a -> 5
			1 11-12 put x=b if x=z -> refused
			1 13-14 put x=c -> 6
			watch 20 event @5 x=a
			watch 21 event @6 x=c`},
		{"the picture has it, and so it does not come", `watch
			sync 0 ask
			1 1-20 put x=a -> 5
			1 1-20 put y=- -> 5
			sync 5 restart
			sync 6 items x=a@5
			sync 7 complete
			1 25-30 put x=c y=d -> 6
			sync 35 event @6 x=c y=d`},
		{"the picture has a half, and the rest comes", `watch
			sync 0 ask
			1 1-20 put x=a y=b -> 5
			sync 5 restart
			sync 6 items x=a@5
			sync 7 complete
			sync 9 event @5 y=b
			1 25-30 put x=c y=d -> 6
			sync 35 event @6 x=c y=d`},
		{"what the picture lacks was deleted before it", `watch
			1 1-2 put x=a -> 5
			1 3-4 put x=- -> 6
			sync 5 ask
			sync 6 restart
			sync 7 complete
			1 25-30 put x=c -> 7
			sync 35 event @7 x=c`},
		{"a picture that is cut short, and one that is not", `watch
			1 1-2 put x=a y=b -> 5
			sync 5 ask
			sync 6 restart
			sync 7 items x=a@5
			sync 8 over
			1 10-11 put x=c -> 6
			sync 12 ask
			sync 13 restart
			sync 14 items x=c@6 y=b@5
			sync 15 complete`},
		{"a watch that was told COMPACTED begins anew", `watch
			watch 0 ask
			watch 1 began
			1 5-10 put x=a -> 5
			1 11-12 put x=b -> 6
			watch 13 over compacted
			watch 14 ask
			watch 15 began
			1 20-30 put x=c -> 7
			watch 35 event @7 x=c`},
		{"a run that was cut short", `watch
			watch 1 began
			1 5-10 put x=a -> 5
			cut`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judgeStory(t, c.story)
			for i := range r.Violations {
				t.Errorf("%s %v", &r.Violations[i], r.Violations[i].Ops)
			}
		})
	}
}

// TestAFollowerThatIsNotAtTheEndIsNoPass lets the last batch come, or not.
func TestAFollowerThatIsNotAtTheEndIsNoPass(t *testing.T) {
	story := strings.Replace(enough, "register", "watch\n\twatch 0 began\n\tsync 0 restart\n\tsync 0 complete", 1)
	story = strings.Replace(story, "\n\t2 38-39", "\n\t1 36-37 put x=z final -> 11\n\t2 38-39", 1)
	story = strings.Replace(story, "last x=j@10", "last x=z@11", 1)
	came := func(who, value, version string) string {
		return "\n\t" + who + " 37 event @" + version + " x=" + value
	}
	all := func(who string) (lines string) {
		for i, value := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
			lines += came(who, value, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}[i])
		}
		return lines
	}
	both := all("watch") + all("sync") + came("watch", "z", "11")
	pictured := "\n\tsync 38 ask\n\tsync 38 restart\n\tsync 38 items x=z@11\n\tsync 38 complete"
	for _, c := range []struct {
		name, story string
		killed      bool
		want        Verdict
		says        string
	}{
		{"both are", story + both + came("sync", "z", "11"), false, Holds, "2 of 2 followers"},
		{"one has it in a picture", story + both + pictured, false, Holds, "2 of 2 followers"},
		{"one has not all of the picture", story + both + strings.TrimSuffix(pictured, "\n\tsync 38 complete"), false, Inconclusive, "1 of 2 followers"},
		{"one has an older picture", story + both + strings.NewReplacer("z@11", "j@10", "38", "35").Replace(pictured), false, Inconclusive, "1 of 2 followers"},
		{"one is not", story + both, false, Inconclusive, "1 of 2 followers"},
		{"COMPACTED without a kill", story + both + "\n\tsync 38 restart" + pictured, false, Inconclusive, "COMPACTED: 1"},
		{"COMPACTED, and nodes are killed", story + both + "\n\tsync 38 restart" + pictured, true, Holds, "COMPACTED: 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judgeStory(t, c.story, func(run *history.Run) { run.Killed = c.killed })
			var b strings.Builder
			if err := r.Write(&b); err != nil {
				t.Fatal(err)
			}
			if r.Verdict() != c.want || !strings.Contains(b.String(), c.says) {
				t.Errorf("want %s and %q, got\n%s", c.want, c.says, b.String())
			}
		})
	}
}

// TestWhatAFollowerSawIsShown reads what a person would.
func TestWhatAFollowerSawIsShown(t *testing.T) {
	r := judgeStory(t, `watch
		watch 1 began
		1 5-10 put x=a y=- -> 5
		watch 15 event @5 x=a y=-
		watch 16 event @5 x=a y=-`)
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"batch came twice in watch/1: the batch of op 2 came to follower 1 (watch) twice\n",
		"    follower 1 by watch at n1, 0.015000s: event x=\"a\" y=- version 5\n    follower 1 by watch at n1, 0.016000s:",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("want %q in\n%s", want, b.String())
		}
	}
}
