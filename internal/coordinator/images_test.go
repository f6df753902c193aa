package coordinator

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/store/memory"
	"github.com/sheafdb/sheaf/internal/wire"
)

// twoGroups are two state machines and a clock. It is a Carrier and a Here: a call is an entry of
// its group's log at once.
type twoGroups struct {
	t      *testing.T
	now    time.Time
	stores [2]store.Store
	index  [2]uint64
	random uint64
	// asked counts the calls that ask for a Status, resolved those that say what became of it.
	asked, resolved int
	// between is done after the first image was taken, and before the second.
	between func()
	// images have the keys of each group.
	images [2][]string
}

func newTwoGroups(t *testing.T) *twoGroups {
	t.Helper()
	g := &twoGroups{t: t, now: time.UnixMilli(1_000_000), between: func() {}}
	for i := range g.stores {
		s, err := memory.Open(memory.Config{FS: vfs.NewMem(), Dir: "d"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		g.stores[i] = s
	}
	return g
}

// Call is part of Carrier.
func (g *twoGroups) Call(calls []Call) []Answered {
	answers := make([]Answered, len(calls))
	for i, call := range calls {
		at := call.Group - 1
		if call.Status != nil && uint64(g.now.UnixMilli()) > call.Status.DeadlineMS {
			g.Call([]Call{{Group: call.Group, Command: &wire.Command{Kind: wire.Tick}}})
		}
		view := g.stores[at].View()
		if call.Collect != nil {
			seen, err := apply.Collect(call.Collect.Keys, call.Collect.Values, uint64(g.now.UnixMilli()), view, func(int) error { return nil })
			_ = view.Close() // of a map
			if err != nil {
				g.t.Fatal(err)
			}
			answers[i].Seen = seen
			continue
		}
		if call.Status != nil {
			g.asked++
			result, err := apply.Status(call.Status.RequestID, call.Status.Attempt, call.Status.DeadlineMS, call.Status.RetentionMS, view)
			_ = view.Close() // of a map
			if err != nil {
				g.t.Fatal(err)
			}
			answers[i].Result = result
			continue
		}
		cmd := *call.Command
		if cmd.Kind == wire.Resolve {
			g.resolved++
		}
		cmd.NowMS, cmd.RetentionMS, cmd.MaxRows = uint64(g.now.UnixMilli()), 60_000, 100
		g.index[at]++
		var out store.Mutations
		result, err := apply.Apply(&cmd, g.index[at], 1, view, &out)
		_ = view.Close() // of a map
		if err == nil {
			err = g.stores[at].Apply(&out)
		}
		if err != nil {
			g.t.Fatal(err)
		}
		answers[i].Result = result
	}
	return answers
}

// The rest of Carrier.

func (g *twoGroups) Wait(int)       { g.now = g.now.Add(10 * time.Millisecond) }
func (g *twoGroups) Now() time.Time { return g.now }
func (g *twoGroups) Random() uint64 { g.random++; return g.random }
func (g *twoGroups) Over() bool     { return false }

// Later is part of Carrier.
func (g *twoGroups) Later(call Call) { g.Call([]Call{call}) }

// Attempts is part of Here.
func (g *twoGroups) Attempts() ([][]wire.Holder, error) {
	all := make([][]wire.Holder, 2)
	for i, s := range g.stores {
		view := s.View()
		found, err := apply.FindOverdue(1<<63, 100, view)
		_ = view.Close() // of a map
		if err != nil {
			g.t.Fatal(err)
		}
		all[i] = found.Attempts
	}
	return all, nil
}

// Open is part of Here.
func (g *twoGroups) Open() error { return nil }

// Take is part of Here.
func (g *twoGroups) Take() ([]Shown, error) {
	shown := make([]Shown, 2)
	for i, s := range g.stores {
		if i == 1 {
			g.between()
		}
		image, err := s.Image()
		if err != nil {
			g.t.Fatal(err)
		}
		taken, err := image.Take()
		if err != nil {
			g.t.Fatal(err)
		}
		g.images[i] = nil
		err = image.Walk(func(space store.Space, key, _ []byte) error {
			if space == store.Data {
				g.images[i] = append(g.images[i], string(key))
			}
			return nil
		})
		if err != nil {
			g.t.Fatal(err)
		}
		if err := image.Close(); err != nil {
			g.t.Fatal(err)
		}
		shown[i].Attempts = taken.Attempts
		if shown[i].Paused, err = wire.DecodePaused(taken.Own[string(apply.PauseKey)]); err != nil {
			g.t.Fatal(err)
		}
	}
	return shown, nil
}

// groupOfFirst puts keys that begin with a into the first group.
func groupOfFirst(key []byte) uint64 {
	if key[0] == 'a' {
		return 1
	}
	return 2
}

// batch is a batch over both groups.
func (g *twoGroups) batch(id string) *Several {
	var raw []byte
	for _, key := range []string{"a-" + id, "b-" + id} {
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(key), Value: []byte("v")})
	}
	entries := wire.Canonical(raw)
	return &Several{
		Command: &wire.Command{Kind: wire.Fast, RequestID: id, Entries: entries, Fingerprint: wire.FingerprintOf(entries, sheaf.Linearizable)},
		Parts:   Split(entries, groupOfFirst), GroupOf: groupOfFirst,
	}
}

func (g *twoGroups) put(id string) {
	g.t.Helper()
	batch := g.batch(id)
	if _, err := batch.Run(g); err != nil {
		g.t.Fatal(err)
	}
	batch.Finish()
}

func (g *twoGroups) take() error { return TakeImages(g, 2, groupOfFirst, g) }

func TestImagesHaveWhatWasWrittenBefore(t *testing.T) {
	g := newTwoGroups(t)
	g.put("1")
	g.put("2")
	if err := g.take(); err != nil {
		t.Fatal(err)
	}
	if len(g.images[0]) != 2 || len(g.images[1]) != 2 {
		t.Errorf("%q", g.images)
	}
	g.put("3") // it is over
}

// TestImagesAreVoidIfThePauseDidNotLast: the first image is taken, the pause ends, and a batch
// is written before the second. Nothing in the images says so.
func TestImagesAreVoidIfThePauseDidNotLast(t *testing.T) {
	g := newTwoGroups(t)
	g.between = func() {
		g.now = g.now.Add(pauseTime)
		g.put("late")
	}
	err := g.take()
	if len(g.images[0]) != 0 || len(g.images[1]) != 1 {
		t.Fatalf("the images have %q: this shows nothing", g.images)
	}
	if err == nil || !strings.Contains(err.Error(), "did not last") {
		t.Errorf("half a batch is in the images, and taking them says %v", err)
	}
}

// shownOnly is a Here whose images show what a test wants.
type shownOnly []Shown

func (s shownOnly) Attempts() ([][]wire.Holder, error) { return make([][]wire.Holder, len(s)), nil }
func (s shownOnly) Open() error                        { return nil }
func (s shownOnly) Take() ([]Shown, error)             { return s, nil }

func TestImagesAreVoidIfTheyShowAnythingElse(t *testing.T) {
	here := Shown{Paused: wire.Paused{ID: "p", Began: 7}}
	for name, other := range map[string]Shown{
		"an attempt":      {Paused: here.Paused, Attempts: 1},
		"another pause":   {Paused: wire.Paused{ID: "q", Began: 7}},
		"the same, later": {Paused: wire.Paused{ID: "p", Began: 8}},
		"none":            {},
	} {
		if err := takePaused(shownOnly{here, other}, "p", []uint64{7, 7}); err == nil {
			t.Errorf("%s: they are taken", name)
		}
	}
	if err := takePaused(shownOnly{here, here}, "p", []uint64{7, 7}); err != nil {
		t.Error(err)
	}
}

// TestABatchWaitsForAPauseWithEmptyHands: what it held, the pause would wait for.
func TestABatchWaitsForAPauseWithEmptyHands(t *testing.T) {
	g := newTwoGroups(t)
	g.between = func() {
		batch := g.batch("new")
		batch.do, batch.homeKey = g, []byte("a-new")
		batch.begin()
		if _, next, _, err := batch.prepare(batch.Parts, true); next != again || err != nil || !batch.contended {
			t.Errorf("%v, %v, contended %v", next, err, batch.contended)
		}
	}
	if err := g.take(); err != nil {
		t.Error(err)
	}
	g.put("new")
}

// TestAttemptsThatWereLeftAreWaitedFor before anybody is paused, and judged when they are
// past their deadline.
func TestAttemptsThatWereLeftAreWaitedFor(t *testing.T) {
	g := newTwoGroups(t)
	left := g.batch("left")
	left.do, left.homeKey = g, []byte("a-left")
	left.begin()
	if results, _, _, err := left.prepare(left.Parts, false); results == nil || err != nil {
		t.Fatal(err)
	}
	began := g.now
	g.random = 100
	if err := g.take(); err != nil {
		t.Error(err)
	}
	if waited := g.now.Sub(began); waited < attemptTime {
		t.Errorf("waited %s for an attempt that may be decided for %s", waited, attemptTime)
	}
	if len(g.images[0])+len(g.images[1]) != 0 {
		t.Errorf("%q", g.images)
	}
}
