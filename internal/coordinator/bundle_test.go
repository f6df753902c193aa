package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// bundleGroup answers bundles as it is told, and remembers them.
type bundleGroup struct {
	Group
	answer func(n int, cmd *wire.Command) (apply.Result, error)

	mu    sync.Mutex
	cmds  []wire.Command
	asked int
}

func (g *bundleGroup) Leads() bool                        { return true }
func (g *bundleGroup) Overdue(int) (apply.Overdue, error) { return apply.Overdue{}, nil }

func (g *bundleGroup) Propose(_ context.Context, cmd *wire.Command) (apply.Result, group.Timing, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cmd.Kind != wire.Bundle {
		return apply.Result{}, group.Timing{}, nil
	}
	g.cmds = append(g.cmds, *cmd)
	result, err := g.answer(len(g.cmds)-1, cmd)
	return result, group.Timing{Log: 1}, err
}

func (g *bundleGroup) Verdict(context.Context, wire.Holder) (apply.Result, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return apply.Result{Outcome: apply.Committed, Version: 3}, false, nil
}

func withGroups(groups ...Group) *Coordinator {
	limits := sheaf.DefaultLimits()
	return New(Config{
		Groups: groups, Gate: admission.NewGate(limits.InFlightBytes), Limits: limits,
		EventualBytes: 1 << 20, EventualWindow: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
}

// bundleFor has n keys of each group in turn.
func bundleFor(t *testing.T, c *Coordinator, n int) *wire.PutAll {
	t.Helper()
	var raw []byte
	next := 0
	for range n {
		for g := range c.cfg.Groups {
			key := []byte(fmt.Sprint(next))
			for ; c.table.GroupOf(key) != uint64(g+1); key = []byte(fmt.Sprint(next)) {
				next++
			}
			next++
			raw = wire.AppendEntry(raw, &wire.Entry{Key: key, Value: []byte("v")})
		}
	}
	entries, err := wire.ParseBundle(raw, sheaf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return &wire.PutAll{RequestID: "r", Entries: entries}
}

func TestABundleOfSeveralGroupsHasTheOutcomesInItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &bundleGroup{answer: func(int, *wire.Command) (apply.Result, error) {
			return apply.Result{Version: 10, Without: wire.Positions{1 << 1}}, nil // the second of its own
		}}
		two := &bundleGroup{answer: func(int, *wire.Command) (apply.Result, error) {
			return apply.Result{Version: 20, Replayed: true}, nil
		}}
		c := withGroups(one, two)
		defer c.Close(context.Background())
		req := bundleFor(t, c, 3)
		answer, err := c.PutBundle(context.Background(), req, nil)
		if err != nil || !answer.Replayed || answer.Groups != 2 || answer.Forwarded {
			t.Fatalf("%+v, %v", answer, err)
		}
		var versions []uint64
		for i, key := range keysIn(req.Entries) {
			o := answer.Outcomes[i]
			versions = append(versions, o.Version)
			var sum wire.ETagSum
			if o.Version != 0 {
				sum.AddKey(key, o.Version)
			} else if o.Refused.Code != sheaf.VersionMismatch || string(o.Refused.Keys[0]) != string(key) {
				t.Errorf("entry %d: %+v", i, o.Refused)
			}
			if o.ETag != sum {
				t.Errorf("entry %d has the ETag %v", i, o.ETag)
			}
		}
		if diff := cmp.Diff([]uint64{10, 20, 0, 21, 11, 22}, versions); diff != "" {
			t.Error(diff)
		}
		if one.cmds[0].RequestID != "r" || one.cmds[0].Fingerprint != two.cmds[0].Fingerprint || one.cmds[0].Entries.Len() != 3 {
			t.Errorf("%+v", one.cmds[0])
		}
	})
}

func keysIn(entries wire.Entries) (keys [][]byte) {
	for _, e := range entries.All() {
		keys = append(keys, e.Key)
	}
	return keys
}

func TestABundleSaysWhichGroupsHaveNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &bundleGroup{answer: func(int, *wire.Command) (apply.Result, error) { return apply.Result{Version: 10}, nil }}
		lost := &bundleGroup{answer: func(int, *wire.Command) (apply.Result, error) {
			return apply.Result{}, &sheaf.Error{Code: sheaf.OutcomeUnknown}
		}}
		down := &bundleGroup{answer: func(int, *wire.Command) (apply.Result, error) {
			return apply.Result{}, &sheaf.Error{Code: sheaf.NotLeader}
		}}
		c := withGroups(one, lost)
		defer c.Close(context.Background())
		answer, err := c.PutBundle(context.Background(), bundleFor(t, c, 2), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range answer.Outcomes {
			if good := i%2 == 0; good != (o.Refused == nil) || !good && o.Refused.Code != sheaf.OutcomeUnknown {
				t.Errorf("entry %d: %+v", i, o)
			}
		}
		none := withGroups(down, lost)
		defer none.Close(context.Background())
		if _, err := none.PutBundle(context.Background(), bundleFor(t, none, 1), nil); sheaf.CodeOf(err) != sheaf.OutcomeUnknown {
			t.Errorf("no group has answered, and one may have written: %v", err)
		}
	})
}

// TestABundleHelpsWhoHoldsItsKeys: asks home, and tries again until it is let.
func TestABundleHelpsWhoHoldsItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := &bundleGroup{answer: func(n int, _ *wire.Command) (apply.Result, error) {
			if n < 3 {
				return apply.Result{Outcome: apply.Conflict, Holder: wire.Holder{RequestID: "other", Attempt: 5, HomeKey: []byte("0")}}, nil
			}
			return apply.Result{Version: 10, Without: wire.Positions{1}}, nil
		}}
		free := &bundleGroup{answer: func(int, *wire.Command) (apply.Result, error) { return apply.Result{Version: 20}, nil }}
		c := withGroups(held, free)
		defer c.Close(context.Background())
		answer, err := c.PutBundle(context.Background(), bundleFor(t, c, 2), nil)
		if err != nil || held.asked+free.asked != 2 || len(free.cmds) != 1 {
			t.Fatalf("%+v, %v, %d asked", answer, err, held.asked+free.asked)
		}
		if o := answer.Outcomes; o[0].Refused == nil || o[1].Version != 20 || o[2].Version != 10 || o[3].Version != 21 {
			t.Errorf("%+v", o)
		}
	})
}

func TestABundleThatIsHeldOffForTooLongIsContended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := &bundleGroup{answer: func(int, *wire.Command) (apply.Result, error) {
			return apply.Result{Outcome: apply.Conflict, Holder: wire.Holder{RequestID: "reader", UntilMS: 1 << 60}}, nil
		}}
		c := withGroups(held, held)
		defer c.Close(context.Background())
		_, err := c.PutBundle(context.Background(), bundleFor(t, c, 1), nil)
		if !errors.Is(err, sheaf.Contention) {
			t.Error(err)
		}
	})
}

func TestABundleAtEventualIsRefused(t *testing.T) {
	c := withGroups(&bundleGroup{})
	defer c.Close(context.Background())
	req := bundleFor(t, c, 1)
	req.Consistency = sheaf.Eventual
	if _, err := c.PutBundle(context.Background(), req, nil); !errors.Is(err, sheaf.InvalidBatch) {
		t.Error(err)
	}
}

// TestABundleComesAfterTheBatchThatHeldItsKey: the batch was committed at home and nobody has
// told the other group yet.
func TestABundleComesAfterTheBatchThatHeldItsKey(t *testing.T) {
	g := newTwoGroups(t)
	batch := g.batch("1")
	before, err := batch.Run(g) // and no Finish: its coordinator has died
	if err != nil {
		t.Fatal(err)
	}
	raw := wire.AppendEntry(nil, &wire.Entry{Key: []byte("b-1"), Value: []byte("w"), HasIfVersion: true, IfVersion: before.Version})
	raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte("b-1"), Value: []byte("x"), HasIfVersion: true})
	entries, err := wire.ParseBundle(raw, sheaf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	bundle := &Several{
		Command: &wire.Command{Kind: wire.Bundle, RequestID: "2", Entries: entries, Fingerprint: wire.BundleFingerprint(entries, sheaf.Linearizable)},
		Parts:   Split(entries, groupOfFirst), GroupOf: groupOfFirst,
	}
	answer, err := bundle.Run(g)
	if err != nil || answer.Version <= before.Version || answer.Without.Has(0) || !answer.Without.Has(1) || g.asked == 0 {
		t.Errorf("%+v, %v, after version %d", answer, err, before.Version)
	}
}
