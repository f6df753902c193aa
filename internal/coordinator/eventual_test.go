package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// slowGroup takes a time for every round and remembers the rounds.
type slowGroup struct {
	Group
	round    time.Duration     // until it is on disk
	applying time.Duration     // and from there until it is applied
	fail     func(n int) error // for the n-th call, from 0
	full     int               // how many calls find the table of request IDs full

	mu     sync.Mutex
	rounds [][]string // request IDs
	calls  int
	known  map[string]apply.Result
}

func (g *slowGroup) ProposeAll(_ context.Context, cmds []*wire.Command, logged chan<- struct{}) ([]apply.Result, error) {
	time.Sleep(g.round) // virtual time: the tests run in a synctest bubble
	results, err := g.proposeAll(cmds)
	if err == nil && logged != nil {
		close(logged)
		time.Sleep(g.applying)
	}
	return results, err
}

func (g *slowGroup) proposeAll(cmds []*wire.Command) ([]apply.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.calls
	g.calls++
	if g.fail != nil {
		if err := g.fail(n); err != nil {
			return nil, err
		}
	}
	var ids []string
	for _, cmd := range cmds {
		ids = append(ids, cmd.RequestID)
	}
	g.rounds = append(g.rounds, ids)
	results := make([]apply.Result, len(cmds))
	if n < g.full {
		for i := range results {
			results[i].Refused = &sheaf.Error{Code: sheaf.RateLimited}
		}
	}
	return results, nil
}

// seen are the rounds so far.
func (g *slowGroup) seen() [][]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.rounds)
}

func (g *slowGroup) Check(cmd *wire.Command) (apply.Result, bool, error) {
	result, ok := g.known[cmd.RequestID]
	return result, ok, nil
}

func (g *slowGroup) Leads() bool { return true }

func (g *slowGroup) Propose(context.Context, *wire.Command) (apply.Result, group.Timing, error) {
	return apply.Result{}, group.Timing{}, errors.New("an EVENTUAL batch was proposed by itself")
}

func newCoordinator(g Group, queueBytes int) *Coordinator {
	limits := sheaf.DefaultLimits()
	return New(Config{
		Groups: []Group{g}, Gate: admission.NewGate(limits.InFlightBytes), Limits: limits,
		EventualBytes: queueBytes, EventualWindow: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
}

func eventual(t *testing.T, id string, valueBytes int) *wire.PutAll {
	t.Helper()
	raw := wire.AppendEntry(nil, &wire.Entry{Key: []byte("k"), Value: make([]byte, valueBytes)})
	entries, err := wire.ParseEntries(raw, sheaf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return &wire.PutAll{RequestID: id, Entries: entries, Consistency: sheaf.Eventual}
}

func TestAcceptedBatchesGoTogetherAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{round: 5 * time.Millisecond}
		c := newCoordinator(g, 1<<20)
		for i := range 10 {
			answer, err := c.PutAll(context.Background(), eventual(t, fmt.Sprint(i), 10), nil)
			if err != nil || !answer.Accepted || answer.Version != 0 || answer.ETag != "" {
				t.Fatalf("%+v, %v", answer, err)
			}
			if i == 0 {
				synctest.Wait() // the first is on its way, the others gather
			}
		}
		c.Close(context.Background())
		if got, want := fmt.Sprint(g.rounds), "[[0] [1 2 3 4 5 6 7 8 9]]"; got != want {
			t.Errorf("rounds %s, want %s", got, want)
		}
	})
}

// TestAcceptanceWaitsForASlowDisk: what a crash can lose was accepted within
// one window.
func TestAcceptanceWaitsForASlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{round: time.Second}
		c := newCoordinator(g, 1<<20)
		began := time.Now()
		accept := func(id string) time.Duration {
			if _, err := c.PutAll(context.Background(), eventual(t, id, 10), nil); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		accept("first")
		time.Sleep(20 * time.Millisecond)
		if at := accept("within the window"); at != 20*time.Millisecond {
			t.Errorf("accepted at %v", at)
		}
		time.Sleep(time.Millisecond)
		if at := accept("beyond it"); at < time.Second {
			t.Errorf("accepted at %v, while a batch of 21 ms ago was not durable", at)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		time.Sleep(30 * time.Millisecond)
		_, err := c.PutAll(ctx, eventual(t, "gives up", 10), nil)
		if !errors.Is(err, sheaf.NotProposed) {
			t.Errorf("a caller who gave up: %v", err)
		}
		c.Close(context.Background())
	})
}

// TestTheNextRoundIsLoggedWhileOneIsApplied, and Close waits for both.
func TestTheNextRoundIsLoggedWhileOneIsApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{round: 10 * time.Millisecond, applying: 10 * time.Millisecond}
		c := newCoordinator(g, 1<<20)
		began := time.Now()
		for i := range 5 {
			if _, err := c.PutAll(context.Background(), eventual(t, fmt.Sprint(i), 10), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		c.Close(context.Background())
		if got, want := fmt.Sprint(g.rounds), "[[0] [1] [2] [3] [4]]"; got != want {
			t.Errorf("rounds %s, want %s", got, want)
		}
		if took := time.Since(began); took != 60*time.Millisecond {
			t.Errorf("it took %v, want 60 ms: five rounds of the log and one apply", took)
		}
	})
}

func TestAFullQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(&slowGroup{round: time.Second}, 100)
		if _, err := c.PutAll(context.Background(), eventual(t, "a", 80), nil); err != nil {
			t.Fatal(err)
		}
		_, err := c.PutAll(context.Background(), eventual(t, "b", 80), nil)
		if !errors.Is(err, sheaf.RateLimited) || sheaf.AsError(err).RetryAfter == 0 {
			t.Errorf("got %v", err)
		}
		c.Close(context.Background())
		if _, err := c.PutAll(context.Background(), eventual(t, "c", 1), nil); !errors.Is(err, sheaf.Draining) {
			t.Errorf("a closed queue: %v", err)
		}
	})
}

// TestAnAcceptedRoundIsTriedUntilItIsIn: the callers were told so.
func TestAnAcceptedRoundIsTriedUntilItIsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{fail: func(n int) error {
			refusals := []error{
				sheaf.RateLimited, &sheaf.Error{Code: sheaf.NoSpace}, sheaf.RateLimited,
				sheaf.NotLeader, &sheaf.Error{Code: sheaf.OutcomeUnknown}, sheaf.NotProposed, // another node leads
			}
			if n < len(refusals) {
				return refusals[n]
			}
			return nil
		}}
		c := newCoordinator(g, 1<<20)
		if _, err := c.PutAll(context.Background(), eventual(t, "a", 10), nil); err != nil {
			t.Fatal(err)
		}
		c.Close(context.Background())
		if fmt.Sprint(g.rounds) != "[[a]]" || g.calls != 7 {
			t.Errorf("%d calls, rounds %v", g.calls, g.rounds)
		}
	})
}

// TestARefusalForNowIsTriedAgain: the table of request IDs is full for a while.
func TestARefusalForNowIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{full: 3}
		c := newCoordinator(g, 1<<20)
		if _, err := c.PutAll(context.Background(), eventual(t, "a", 10), nil); err != nil {
			t.Fatal(err)
		}
		c.Close(context.Background())
		if g.calls != 4 {
			t.Errorf("%d calls, want 4", g.calls)
		}
	})
}

// TestWhatIsTriedAgainStaysCounted: it is in memory and not durable.
func TestWhatIsTriedAgainStaysCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{round: time.Millisecond, full: 1 << 30}
		c := newCoordinator(g, 1000)
		accepted := 0
		for i := range 200 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			_, err := c.PutAll(ctx, eventual(t, fmt.Sprint(i), 100), nil)
			cancel()
			switch {
			case err == nil:
				accepted++
			case !errors.Is(err, sheaf.RateLimited) && !errors.Is(err, sheaf.NotProposed):
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		g.mu.Lock()
		g.full = 0
		g.mu.Unlock()
		c.Close(context.Background())
		if accepted == 0 || accepted > 8 {
			t.Errorf("%d batches of more than 100 bytes were accepted into a queue of 1,000", accepted)
		}
		if len(g.rounds) == 0 || len(g.rounds[len(g.rounds)-1]) != accepted {
			t.Errorf("the last round has %v, of %d accepted", g.rounds[len(g.rounds)-1], accepted)
		}
	})
}

// TestNothingIsAcceptedBesideWhatIsTriedAgain: it is logged again and again, and not durable.
func TestNothingIsAcceptedBesideWhatIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{round: time.Millisecond, applying: time.Millisecond, full: 50}
		c := newCoordinator(g, 1<<20)
		began := time.Now()
		if _, err := c.PutAll(context.Background(), eventual(t, "a", 10), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(21 * time.Millisecond)
		if _, err := c.PutAll(context.Background(), eventual(t, "b", 10), nil); err != nil {
			t.Fatal(err)
		}
		if at := time.Since(began); at < 50*20*time.Millisecond {
			t.Errorf("a batch was accepted at %v, while one of the beginning was not durable", at)
		}
		c.Close(context.Background())
	})
}

// TestCloseGivesUpWithItsContext: a full disk must not keep a node from stopping.
func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(&slowGroup{fail: func(int) error { return sheaf.NoSpace }}, 1<<20)
		if _, err := c.PutAll(context.Background(), eventual(t, "a", 10), nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		c.Close(ctx)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// silentGroup never answers: most of its replicas are out of reach.
type silentGroup struct{ slowGroup }

func (g *silentGroup) ProposeAll(ctx context.Context, _ []*wire.Command, _ chan<- struct{}) ([]apply.Result, error) {
	<-ctx.Done()
	return nil, &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: ctx.Err()}
}

func TestCloseGivesUpOnAGroupThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(&silentGroup{}, 1<<20)
		if _, err := c.PutAll(context.Background(), eventual(t, "a", 10), nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		c.Close(ctx)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// heldGroup has a key that an attempt holds until it is told what became of that.
type heldGroup struct {
	slowGroup
	resolved bool
}

func (g *heldGroup) ProposeAll(ctx context.Context, cmds []*wire.Command, logged chan<- struct{}) ([]apply.Result, error) {
	results, err := g.slowGroup.ProposeAll(ctx, cmds, logged)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range results {
		if !g.resolved {
			results[i] = apply.Result{Outcome: apply.Conflict, Holder: wire.Holder{RequestID: "left", Attempt: 7, HomeKey: []byte("k")}}
		}
	}
	return results, err
}

func (g *heldGroup) Verdict(context.Context, wire.Holder) (apply.Result, bool, error) {
	return apply.Result{Outcome: apply.Aborted}, false, nil
}

func (g *heldGroup) Overdue(int) (apply.Overdue, error) { return apply.Overdue{}, nil }

func (g *heldGroup) Propose(_ context.Context, cmd *wire.Command) (apply.Result, group.Timing, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.resolved = cmd.Kind == wire.Resolve && cmd.RequestID == "left" && cmd.Attempt == 7 && !cmd.Commit
	return apply.Result{}, group.Timing{}, nil
}

// TestAnAcceptedBatchAsksWhatHoldsItsKeys: until it is durable the node accepts nothing.
func TestAnAcceptedBatchAsksWhatHoldsItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &heldGroup{slowGroup: slowGroup{round: time.Millisecond}}
		limits := sheaf.DefaultLimits()
		c := New(Config{
			Groups: []Group{g, g}, Gate: admission.NewGate(limits.InFlightBytes), Limits: limits,
			EventualBytes: 1 << 20, EventualWindow: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		})
		if _, err := c.PutAll(context.Background(), eventual(t, "a", 10), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c.Close(ctx)
		if !g.resolved || ctx.Err() != nil || len(g.rounds) != 2 {
			t.Errorf("resolved: %v, rounds %v, %v", g.resolved, g.rounds, ctx.Err())
		}
	})
}

func TestEventualKnowsRequestIDsAndTakesNoConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{known: map[string]apply.Result{
			"done":   {Version: 7, Replayed: true},
			"reused": {Refused: sheaf.Errorf(sheaf.RequestIDReused, "x")},
		}}
		c := newCoordinator(g, 1<<20)
		defer c.Close(context.Background())
		if answer, err := c.PutAll(context.Background(), eventual(t, "done", 1), nil); err != nil || !answer.Replayed || !answer.Accepted || answer.Version != 0 {
			t.Errorf("%+v, %v", answer, err)
		}
		if _, err := c.PutAll(context.Background(), eventual(t, "reused", 1), nil); !errors.Is(err, sheaf.RequestIDReused) {
			t.Error(err)
		}
		req := eventual(t, "x", 1)
		req.IfMatch = "*"
		if _, err := c.PutAll(context.Background(), req, nil); !errors.Is(err, sheaf.InvalidBatch) {
			t.Error(err)
		}
		if len(g.rounds) != 0 {
			t.Errorf("rounds %v", g.rounds)
		}
	})
}
