package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// gatedGroup holds every batch until its test lets it go, with an error or without.
type gatedGroup struct {
	Group
	mu     sync.Mutex
	begun  []string
	waits  map[string]chan error
	change chan struct{} // closed and replaced when a batch begins
}

func newGatedGroup() *gatedGroup {
	return &gatedGroup{waits: make(map[string]chan error), change: make(chan struct{})}
}

func (*gatedGroup) Leads() bool { return true }

func (g *gatedGroup) Propose(ctx context.Context, cmd *wire.Command) (apply.Result, group.Timing, error) {
	g.mu.Lock()
	wait := make(chan error, 1)
	g.begun = append(g.begun, cmd.RequestID)
	g.waits[cmd.RequestID] = wait
	close(g.change)
	g.change = make(chan struct{})
	g.mu.Unlock()
	select {
	case err := <-wait:
		return apply.Result{Version: 1}, group.Timing{}, err
	case <-ctx.Done():
		return apply.Result{}, group.Timing{}, &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err()}
	}
}

// end waits until a batch is at work and ends it.
func (g *gatedGroup) end(t *testing.T, id string, err error) {
	t.Helper()
	for {
		g.mu.Lock()
		wait, change := g.waits[id], g.change
		delete(g.waits, id)
		g.mu.Unlock()
		if wait != nil {
			wait <- err
			return
		}
		select {
		case <-change:
		case <-time.After(time.Minute):
			t.Fatalf("batch %s was not begun", id)
		}
	}
}

// order is what was begun, in that order.
func (g *gatedGroup) order() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.begun, " ")
}

type streamRig struct {
	t      *testing.T
	group  *gatedGroup
	stream *Stream
}

func newStreamRig(t *testing.T) *streamRig {
	g := newGatedGroup()
	c := New(Config{
		Groups: []Group{g}, Gate: admission.NewGate(1 << 20), Limits: sheaf.DefaultLimits(),
		EventualBytes: 1 << 20, EventualWindow: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { c.Close(context.Background()) })
	return &streamRig{t, g, c.NewStream()}
}

// begin starts a batch of the keys that are given as words.
func (r *streamRig) begin(id, keys string) *Flight {
	r.t.Helper()
	f := r.flight(id, keys)
	if err := r.stream.Begin(r.t.Context(), f); err != nil {
		r.t.Fatal(err)
	}
	return f
}

func (r *streamRig) refuse(id, keys string, code sheaf.Code) {
	r.t.Helper()
	f := r.flight(id, keys)
	r.stream.Refuse(f, &sheaf.Error{Code: code})
	r.wait(f, code)
}

func (r *streamRig) flight(id, keys string) *Flight {
	var raw []byte
	for key := range strings.FieldsSeq(keys) {
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(key), Value: []byte("v")})
	}
	return &Flight{Request: wire.PutAll{RequestID: id, Entries: wire.Canonical(raw)}}
}

func (r *streamRig) wait(f *Flight, code sheaf.Code) {
	r.t.Helper()
	_, err := f.Wait()
	if code == "" && err != nil || code != "" && !errors.Is(err, code) {
		r.t.Errorf("batch %s ended with %v, want %q", f.Request.RequestID, err, code)
	}
}

func TestBatchesOfAStreamThatShareAKeyTakeTurns(t *testing.T) {
	r := newStreamRig(t)
	first, second, third := r.begin("1", "a b"), r.begin("2", "b c"), r.begin("3", "x")
	fourth := r.begin("4", "c")
	r.group.end(t, "3", nil) // it shares nothing: it may pass the others
	r.wait(third, "")
	if order := r.group.order(); strings.ContainsAny(order, "24") {
		t.Fatalf("begun: %s", order)
	}
	for _, id := range []string{"1", "2", "4"} {
		r.group.end(t, id, nil)
	}
	r.wait(first, "")
	r.wait(second, "")
	r.wait(fourth, "")
	if order := strings.ReplaceAll(strings.ReplaceAll(r.group.order(), "3 ", ""), " 3", ""); order != "1 2 4" {
		t.Errorf("those that share keys were begun in the order %s", order)
	}
}

func TestNothingPassesABatchThatIsToComeAgain(t *testing.T) {
	r := newStreamRig(t)
	busy := &sheaf.Error{Code: sheaf.RateLimited, RetryAfter: time.Second}
	first, second := r.begin("1", "a"), r.begin("2", "a b")
	r.group.end(t, "1", busy)
	r.wait(first, sheaf.RateLimited)
	r.wait(second, sheaf.Contention)
	r.wait(r.begin("3", "b"), sheaf.Contention) // behind 2
	other := r.begin("4", "x")
	r.group.end(t, "4", nil)
	r.wait(other, "")
	r.wait(r.begin("2", "a b"), sheaf.Contention) // out of its turn
	for _, again := range []struct{ id, keys string }{{"1", "a"}, {"2", "a b"}, {"3", "b"}} {
		f := r.begin(again.id, again.keys)
		r.group.end(t, again.id, nil)
		r.wait(f, "")
	}
	if diff := cmp.Diff("1 4 1 2 3", r.group.order()); diff != "" {
		t.Errorf("begun (-want +got):\n%s", diff)
	}
}

// TestNothingPassesABatchThatCouldNotBegin.
func TestNothingPassesABatchThatCouldNotBegin(t *testing.T) {
	r := newStreamRig(t)
	r.refuse("1", "a", sheaf.RateLimited)
	r.wait(r.begin("2", "a b"), sheaf.Contention)
	r.refuse("1", "a", sheaf.RateLimited) // again, in the same place
	r.wait(r.begin("2", "a b"), sheaf.Contention)
	for _, again := range []struct{ id, keys string }{{"1", "a"}, {"2", "a b"}} {
		f := r.begin(again.id, again.keys)
		r.group.end(t, again.id, nil)
		r.wait(f, "")
	}
	r.refuse("3", "a", sheaf.InvalidBatch) // for good
	f := r.begin("4", "a")
	r.group.end(t, "4", nil)
	r.wait(f, "")
}

func TestAStreamHasOneLevel(t *testing.T) {
	r := newStreamRig(t)
	first := r.begin("1", "a")
	r.group.end(t, "1", nil)
	r.wait(first, "")
	for level, want := range map[sheaf.Consistency]sheaf.Code{sheaf.Sequential: sheaf.InvalidBatch, sheaf.Eventual: sheaf.InvalidBatch} {
		f := r.flight(level.String(), "x")
		f.Request.Consistency = level
		if err := r.stream.Begin(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		r.wait(f, want)
	}
}

// TestABatchThatCouldNotBeginHasTheStreamsLevelToo.
func TestABatchThatCouldNotBeginHasTheStreamsLevelToo(t *testing.T) {
	r := newStreamRig(t)
	first := r.flight("1", "a")
	first.Request.Consistency = sheaf.Sequential
	r.stream.Refuse(first, &sheaf.Error{Code: sheaf.RateLimited})
	again := r.flight("1", "a")
	again.Request.Consistency = sheaf.Sequential
	if err := r.stream.Begin(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	r.group.end(t, "1", nil)
	r.wait(again, "")
}

func TestABatchThatIsRefusedForGoodHoldsNobodyUp(t *testing.T) {
	r := newStreamRig(t)
	first := r.begin("1", "a")
	second := r.begin("2", "a")
	r.group.end(t, "1", sheaf.Errorf(sheaf.ETagMismatch, "changed"))
	r.wait(first, sheaf.ETagMismatch)
	r.group.end(t, "2", nil)
	r.wait(second, "")
}

func TestAStreamHasABoundOnWhatItHasAtWork(t *testing.T) {
	r := newStreamRig(t)
	for i := range MaxFlights {
		r.begin(fmt.Sprint(i), fmt.Sprint("key", i))
	}
	begun := make(chan *Flight)
	go func() { begun <- r.begin("late", "late") }()
	select {
	case <-begun:
		t.Fatal("one too many is at work")
	case <-time.After(20 * time.Millisecond):
	}
	r.group.end(t, "0", nil)
	late := <-begun
	for i := 1; i < MaxFlights; i++ {
		r.group.end(t, fmt.Sprint(i), nil)
	}
	r.group.end(t, "late", nil)
	r.wait(late, "")
}

func TestSharedKeysAreFoundInBothGenerations(t *testing.T) {
	table, flying := newLastKeys(), make(map[uint32]*Flight)
	begin := func(number uint64, from, n int) *Flight {
		t.Helper()
		var raw []byte
		for i := range n {
			raw = wire.AppendEntry(raw, &wire.Entry{Key: fmt.Appendf(nil, "%d", from+i)})
		}
		f := &Flight{number: number, Request: wire.PutAll{Entries: wire.Canonical(raw)}}
		if table.waits(n) {
			t.Fatalf("batch %d has to wait", number)
		}
		table.join(f, flying)
		return f
	}
	end := func(f *Flight) { f.generation.flying-- }
	first := begin(1, 0, 1000)
	flying[short(1)] = first
	second := begin(2, 5000, 3*firstKeyRoom) // does not fit beside it
	if len(second.ahead) > 0 || second.generation == first.generation {
		t.Fatalf("a batch that shares nothing waits for %v", second.ahead)
	}
	third := begin(3, 999, 1)
	if len(third.ahead) != 1 || third.ahead[0] != first {
		t.Errorf("it waits for %v, not for that in the old generation", third.ahead)
	}
	if !table.waits(mostKeyRoom) {
		t.Error("a third generation begins while one of the first flies")
	}
	end(first)
	delete(flying, short(1))
	end(second)
	end(third)
	for n := uint64(4); n < 200; n++ { // none of these flies when the next one comes
		f := begin(n, int(n)*10_000, 1000)
		if len(f.ahead) > 0 {
			t.Fatalf("batch %d waits for %d, with which it shares nothing", n, f.ahead[0].number)
		}
		end(f)
	}
	if len(table.now.slots) != 2*mostKeyRoom {
		t.Errorf("a table has %d slots", len(table.now.slots))
	}
}
