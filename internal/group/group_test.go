package group

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func refusal(t *testing.T, r *rig, cmd *wire.Command) *sheaf.Error {
	t.Helper()
	result, _, err := r.group.Propose(context.Background(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	if result.Refused == nil {
		t.Fatalf("was applied: %+v", result)
	}
	return result.Refused
}

// TestRetryOfACommittedBatchIsNotRefusedByItsOwnETag is why the request ID
// comes before the conditions.
func TestRetryOfACommittedBatchIsNotRefusedByItsOwnETag(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	r.commit(r.command("", put("a", "1")))
	var sum wire.ETagSum
	_, version := r.get("a")
	sum.AddKey([]byte("a"), version)
	cmd := func() *wire.Command {
		c := r.command("id", put("a", "2"))
		c.IfMatch = wire.Match{Set: true, Tags: []wire.ETagSum{sum}}
		return c
	}
	first := r.commit(cmd())
	r.crash()
	result, _, err := r.group.Propose(context.Background(), cmd())
	if err != nil || !result.Replayed || result.Version != first {
		t.Fatalf("retry: %+v, %v", result, err)
	}
}

// TestALateFirstAttemptIsNotAppliedAfter412: the refusal is remembered.
func TestALateFirstAttemptIsNotAppliedAfter412(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	attempt := func() *wire.Command {
		c := r.command("id", put("a", "mine"))
		c.IfNoneMatch = wire.Match{Set: true, Star: true}
		return c
	}
	r.commit(r.command("", put("a", "other")))
	if e := refusal(t, r, attempt()); e.Code != sheaf.ETagMismatch {
		t.Fatal(e)
	}
	r.commit(r.command("", wire.Entry{Key: []byte("a"), Delete: true})) // the condition would hold now
	if e := refusal(t, r, attempt()); e.Code != sheaf.ETagMismatch {
		t.Fatal(e)
	}
	if _, version := r.get("a"); version != 0 {
		t.Error("the delayed attempt was applied after its caller was told 412")
	}
	// The same ID without that condition is a different attempt, and may go.
	r.commit(r.command("id", put("a", "mine")))
}

func TestAnIDThatWasRefusedTooOftenIsRefusedForGood(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	r.commit(r.command("", put("a", "1")))
	for i := range wire.MaxRefused {
		e := put("a", "2")
		e.HasIfVersion, e.IfVersion = true, uint64(1000+i)
		if e := refusal(t, r, r.command("id", e)); e.Code != sheaf.VersionMismatch {
			t.Fatal(e)
		}
	}
	if e := refusal(t, r, r.command("id", put("a", "2"))); e.Code != sheaf.VersionMismatch {
		t.Fatal(e)
	}
}

func TestRequestIDsAreForgottenOnlyWhenTheirAgeRefusesThem(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	young, opaque := r.v7(0), "opaque"
	version := r.commit(r.command(young, put("a", "1")))
	opaqueVersion := r.commit(r.command(opaque, put("b", "1")))
	r.nowMS.Add(r.limits.RequestIDRetention.Milliseconds())
	for more := true; more; { // a Tick that finds nothing due yet
		var err error
		if more, err = r.group.tick(); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]uint64{young: version, opaque: opaqueVersion} {
		key := map[string]string{young: "a", opaque: "b"}[id]
		result, _, err := r.group.Propose(context.Background(), r.command(id, put(key, "1")))
		if err != nil || !result.Replayed || result.Version != want {
			t.Fatalf("%s at the end of its retention: %+v, %v", id, result, err)
		}
	}
	r.nowMS.Add(2)
	waitUntil(t, "the rows are dropped", func() bool { return r.group.Status().Meta.Rows == 0 })
	if e := refusal(t, r, r.command(young, put("a", "1"))); e.Code != sheaf.RequestIDExpired {
		t.Fatal(e)
	}
	if _, v := r.get("a"); v != version {
		t.Error("an expired request ID was applied again")
	}
}

func TestRequestIDsFromTheFutureAreRefused(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	if e := refusal(t, r, r.command(r.v7(61*time.Second), put("a", "1"))); e.Code != sheaf.InvalidBatch {
		t.Fatal(e)
	}
	r.commit(r.command(r.v7(59*time.Second), put("a", "1")))
}

// TestALongerRetentionDoesNotRevive: an ID whose row is gone stays refused when
// the node is restarted with a longer retention.
func TestALongerRetentionDoesNotReviveARequestID(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	r.group.cfg.Limits.RequestIDRetention = 2 * time.Second
	id := r.v7(0)
	version := r.commit(r.command(id, put("a", "1")))
	r.nowMS.Add(2002)
	waitUntil(t, "the row is dropped", func() bool { return r.group.Status().Meta.Rows == 0 })
	r.crash() // with the retention of the rig: 10 minutes
	if e := refusal(t, r, r.command(id, put("a", "1"))); e.Code != sheaf.RequestIDExpired {
		t.Fatal(e)
	}
	if _, v := r.get("a"); v != version {
		t.Error("it was applied again")
	}
}

// TestTooManyRequestIDsRaiseTheFloor: a young ID is never forgotten silently.
func TestTooManyRequestIDsRaiseTheFloor(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	r.group.cfg.Limits.RequestIDs = 3
	var ids []string
	for i := range 5 {
		r.nowMS.Add(10)
		ids = append(ids, r.v7(0))
		r.commit(r.command(ids[i], put(fmt.Sprint(i), "x")))
	}
	if rows := r.group.Status().Meta.Rows; rows != 3 {
		t.Errorf("%d rows, want 3", rows)
	}
	for i, id := range ids {
		result, _, err := r.group.Propose(context.Background(), r.command(id, put(fmt.Sprint(i), "x")))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case i < 2 && (result.Refused == nil || result.Refused.Code != sheaf.RequestIDExpired):
			t.Errorf("ID %d, pushed out: %+v", i, result)
		case i >= 2 && !result.Replayed:
			t.Errorf("ID %d, remembered: %+v, %v", i, result, result.Refused)
		}
	}
	older := r.v7(-time.Second)
	if e := refusal(t, r, r.command(older, put("new", "x"))); e.Code != sheaf.RequestIDExpired {
		t.Errorf("an ID below the floor: %v", e)
	}
}

func TestOpaqueIDsAreNeverPushedOut(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	r.group.cfg.Limits.RequestIDs = 2
	r.commit(r.command("one", put("a", "1")))
	r.commit(r.command("two", put("a", "2")))
	if e := refusal(t, r, r.command("three", put("a", "3"))); e.Code != sheaf.RateLimited || e.RetryAfter == 0 {
		t.Fatal(e)
	}
	if result, _, err := r.group.Propose(context.Background(), r.command("one", put("a", "1"))); err != nil || !result.Replayed {
		t.Fatalf("the first ID: %+v, %v", result, err)
	}
}

func TestAfterLiftsTheVersionWithinItsBound(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	cmd := r.command("", put("a", "1"))
	cmd.After = 5000
	if v := r.commit(cmd); v != 5001 {
		t.Errorf("version %d, want 5001", v)
	}
	cmd = r.command("", put("a", "1"))
	cmd.After = 5001 + apply.MaxAfterStep + 1
	if e := refusal(t, r, cmd); e.Code != sheaf.InvalidBatch {
		t.Error(e)
	}
}

func TestKeysExpireOnAnIdleGroup(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	e := put("a", "1")
	e.TTLMS = 1000
	r.commit(r.command("", e))
	r.nowMS.Add(999)
	if _, version := r.get("a"); version == 0 {
		t.Error("expired too early")
	}
	r.nowMS.Add(1)
	waitUntil(t, "the key is gone", func() bool { _, v := r.get("a"); return v == 0 })
	waitUntil(t, "its space is free", func() bool {
		view := r.store.View()
		defer view.Close()
		due, pending, err := apply.NextDue(view)
		if err != nil {
			t.Fatal(err)
		}
		return !pending || due == 0
	})
}

// TestAnOverwriteOutlivesTheOldExpiry: the stale element of the queue must not
// take the new value with it.
func TestAnOverwriteOutlivesTheOldExpiry(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	e := put("a", "short")
	e.TTLMS = 100
	r.commit(r.command("", e))
	r.commit(r.command("", put("a", "long")))
	r.nowMS.Add(200)
	waitUntil(t, "the queue is empty", func() bool {
		view := r.store.View()
		defer view.Close()
		_, pending, err := apply.NextDue(view)
		return err == nil && !pending
	})
	if value, _ := r.get("a"); value != "long" {
		t.Errorf("got %q", value)
	}
}

// TestAGroupThatWasOffForAMonthCatchesUp: one command moves the clock by an
// hour at most, so it takes many.
func TestAGroupThatWasOffForAMonthCatchesUp(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	e := put("a", "1")
	e.TTLMS = time.Hour.Milliseconds()
	r.commit(r.command("", e))
	r.close()
	r.nowMS.Add(30 * 24 * time.Hour.Milliseconds())
	r.open()
	r.commit(r.command(r.v7(0), put("b", "1"))) // an ID from "the future" would be refused
	if got := r.group.Status().Meta.NowMS; got != uint64(r.nowMS.Load()) {
		t.Errorf("the group's clock is at %d, want %d", got, r.nowMS.Load())
	}
	if _, version := r.get("a"); version != 0 {
		t.Error("a key that expired a month ago is visible")
	}
}

func TestTheClockNeverGoesBack(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	r.commit(r.command("", put("a", "1")))
	before := r.group.Status().Meta.NowMS
	r.nowMS.Add(-100000)
	r.commit(r.command("", put("a", "2")))
	if after := r.group.Status().Meta.NowMS; after != before {
		t.Errorf("the clock went from %d to %d", before, after)
	}
}

func TestSameRequestIDInFlightIsAppliedOnce(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	const callers = 32
	var wg sync.WaitGroup
	versions := make([]uint64, callers)
	replays := make([]bool, callers)
	for i := range callers {
		wg.Go(func() {
			result, _, err := r.group.Propose(context.Background(), r.command("id", put("a", "1")))
			if err != nil {
				t.Error(err)
			}
			versions[i], replays[i] = result.Version, result.Replayed
		})
	}
	wg.Wait()
	if slices.Max(versions) != slices.Min(versions) {
		t.Errorf("versions differ: %v", versions)
	}
	firsts := 0
	for _, replayed := range replays {
		if !replayed {
			firsts++
		}
	}
	if firsts != 1 {
		t.Errorf("%d callers were told that they were the first", firsts)
	}
}

func TestCancelledBeforeTheLogIsNotProposed(t *testing.T) {
	r := newRig(t, "memory")
	defer r.close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err := r.group.Propose(ctx, r.command("id", put("a", "1")))
	if !errors.Is(err, sheaf.NotProposed) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, version := r.get("a"); version != 0 {
		t.Error("it was written all the same")
	}
}

func TestAStoppedGroupRefusesWrites(t *testing.T) {
	r := newRig(t, "memory")
	r.close()
	_, _, err := r.group.Propose(context.Background(), r.command("", put("a", "1")))
	if !errors.Is(err, sheaf.Draining) {
		t.Fatal(err)
	}
}

// TestTheLogIsCutWithinItsBound writes many times the bound.
func TestTheLogIsCutWithinItsBound(t *testing.T) {
	for _, kind := range []string{"memory", "pebble"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, kind)
			defer r.close()
			r.group.cfg.LogBytes = 512 << 10
			r.group.cut.setBound()
			value := string(make([]byte, 8<<10))
			for i := range 400 {
				r.commit(r.command("", put(fmt.Sprint(i), value)))
				if size := r.log.SealedBytes(); size > 1<<20 {
					t.Fatalf("the log has %d bytes", size)
				}
			}
			r.crash()
			for i := range 400 {
				if value, _ := r.get(fmt.Sprint(i)); len(value) != 8<<10 {
					t.Fatalf("key %d has %d bytes after a crash", i, len(value))
				}
			}
		})
	}
}

// TestTheLogGrowsWithAStoreThatIsFlushedWhole: a snapshot of the memory store costs
// what all its data costs, so it waits until as much was logged.
func TestTheLogGrowsWithAStoreThatIsFlushedWhole(t *testing.T) {
	for kind, grows := range map[string]bool{"memory": true, "pebble": false} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, kind)
			defer r.close()
			r.group.cfg.LogBytes, r.group.cfg.LogMostBytes = 512<<10, 4<<20
			r.group.cut.setBound()
			value := string(make([]byte, 8<<10))
			for i := range 1200 { // 9.6 MiB, of which the snapshot has 8
				r.commit(r.command("", put(fmt.Sprint(i%1000), value)))
			}
			if err := r.group.cut.wait(); err != nil {
				t.Fatal(err)
			}
			want := int64(512 << 10)
			if grows {
				want = 4 << 20 // twice the snapshot is more than the most
			}
			if bound := r.group.cut.bound.Load(); bound != want {
				t.Errorf("the bound is %d bytes, want %d", bound, want)
			}
			if size := r.log.SealedBytes(); size > want {
				t.Errorf("the log has %d bytes, more than %d", size, want)
			}
		})
	}
}

func TestOpenScansAreBounded(t *testing.T) {
	r := newRig(t, "pebble")
	defer r.close()
	r.commit(r.command("", put("a", "1")))
	var open []*Scanner
	for range maxScans {
		s, err := r.group.Scan(context.Background(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	if _, err := r.group.Scan(context.Background(), nil, nil); !errors.Is(err, sheaf.RateLimited) {
		t.Errorf("one more: %v", err)
	}
	for _, s := range open {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	s, err := r.group.Scan(context.Background(), nil, nil)
	if err != nil {
		t.Fatalf("after they were closed: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestScanSkipsWhatIsExpired(t *testing.T) {
	r := newRig(t, "pebble")
	defer r.close()
	e := put("p/b", "gone")
	e.TTLMS = 10
	r.commit(r.command("", put("p/a", "1"), e, put("p/c", "3"), put("q", "4")))
	r.nowMS.Add(20)
	r.commit(r.command("", put("clock", "x")))
	scanner, err := r.group.Scan(context.Background(), []byte("p/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer scanner.Close()
	var got []string
	for scanner.Next() {
		got = append(got, string(scanner.Item().Key))
	}
	if err := scanner.Err(); err != nil || !slices.Equal(got, []string{"p/a", "p/c"}) {
		t.Errorf("got %v, %v", got, err)
	}
}
