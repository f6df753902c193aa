package group

import (
	"context"
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// ReadRequest asks for keys at one level.
type ReadRequest struct {
	Keys  [][]byte
	Level sheaf.Consistency
	// After: at Sequential, do not answer from a state older than this version.
	After uint64
	// MaxBytes bounds the keys and values of the answer.
	MaxBytes int
}

// ReadResult is one instant of the keys asked for, in that order.
type ReadResult struct {
	// Items own their values; their keys are the request's.
	Items []sheaf.Item
	ETag  wire.ETagSum
	// Reserved is how many bytes the group has counted at the gate for Items. The
	// caller gives them back when it has let go of the items.
	Reserved int64
	// Held: a batch over several groups is on its way on one of the keys, so that this group
	// alone cannot say what they are. There are no items then. Reads at EVENTUAL do not ask.
	Held bool
}

// Read returns the keys as of one instant: at LINEARIZABLE of the newest state, which takes
// a round with the other replicas unless this one is alone; at the other levels of this
// replica's, and SEQUENTIAL refuses with STALE_REPLICA when that is older than After.
//
// The values are counted as in flight before they are copied; the keys are the
// request's and are counted with it, and limits.batch_entries bounds the items.
func (g *Group) Read(ctx context.Context, req ReadRequest) (_ ReadResult, err error) {
	if err := ctx.Err(); err != nil {
		return ReadResult{}, &sheaf.Error{Code: sheaf.NotProposed, Err: err}
	}
	if req.Level == sheaf.Linearizable {
		if err := g.Current(ctx); err != nil {
			return ReadResult{}, err
		}
	}
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	meta := view.Meta()
	switch held, refusal, err := apply.Readable(req.Keys, req.Level, req.After, view); {
	case refusal != nil:
		return ReadResult{}, refusal
	case err != nil || held:
		return ReadResult{Held: held}, readError(err)
	}
	counted := reservation{gate: g.cfg.Gate}
	defer func() {
		if err != nil {
			counted.release()
		}
	}()
	now := g.timeOf(meta)
	result := ReadResult{Items: make([]sheaf.Item, len(req.Keys))}
	var copies arena
	var values int64 // bytes of the values so far
	total := 0
	named := wire.NewKeySet(len(req.Keys))
	defer named.Release()
	for i, key := range req.Keys {
		item := &result.Items[i]
		item.Key = key
		total += len(key) + itemOverheadBytes
		data, ok, err := view.Get(store.Data, key)
		if err != nil {
			return ReadResult{}, readError(err)
		}
		if !ok {
			continue
		}
		record, err := wire.DecodeRecord(data)
		if err != nil {
			return ReadResult{}, readError(fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, key, err))
		}
		if !record.Live(now) {
			continue
		}
		if total += len(record.Value) + len(record.TypeURL); total > req.MaxBytes {
			return ReadResult{}, sheaf.Errorf(sheaf.BatchTooLarge,
				"the answer is larger than %d bytes (limits.batch_bytes): ask for fewer keys; %d of %d fit", req.MaxBytes, i, len(req.Keys))
		}
		values += int64(len(record.Value))
		if err := counted.upTo(values); err != nil {
			return ReadResult{}, err
		}
		item.Found, item.Version = true, record.Version
		item.Value = copies.copy(record.Value)
		item.TypeURL = string(record.TypeURL)
		if _, again := named.Add(key); !again {
			result.ETag.AddKey(key, record.Version)
		}
	}
	result.Reserved = counted.bytes
	return result, nil
}

// reservation counts the values of an answer at the gate, a step at a time.
type reservation struct {
	gate  *admission.Gate
	bytes int64
}

func (r *reservation) upTo(need int64) error {
	if need <= r.bytes {
		return nil
	}
	step := max(need-r.bytes, reserveStepBytes)
	if err := r.gate.Reserve(step); err != nil {
		return err
	}
	r.bytes += step
	return nil
}

func (r *reservation) release() { r.gate.Release(r.bytes) }

// timeOf is the time that expiry is judged by. A replica without others takes the wall clock,
// because the state's own stands still while the disk does. With others, learners too, a key must not
// come back on another replica whose clock is behind: there only the state's counts, which
// its leader moves when something is due.
func (g *Group) timeOf(meta store.Meta) uint64 {
	if g.only.Load() {
		return max(meta.NowMS, g.nowMS())
	}
	return meta.NowMS
}

// timeNow is timeOf the state as it is, without a view.
func (g *Group) timeNow() uint64 {
	if g.only.Load() {
		return g.nowMS()
	}
	return g.stateMS.Load()
}

// read is a linearizable read that waits until the state may be looked at.
type read struct {
	done chan error
	// What follows is a turn's: token is 0 before the core has it, gone says that nobody waits.
	token replica.Token
	gone  bool
}

func (r *read) serve()         { r.done <- nil }
func (r *read) fail(err error) { r.done <- err }

// maxReaders bounds the reads that wait: without a leader they are released by nobody.
const maxReaders = 1 << 16

// ask gives a read to the core, if somebody still waits for it.
func (l *loop) ask(r *read) {
	if r.gone {
		return
	}
	l.token++
	r.token = l.token
	l.readers[r.token] = r
	l.core.Read(r.token)
}

// sweepReads is how many reads that nobody waits for the core may hold.
const sweepReads = 1 << 10

// leave withdraws a read whose caller has gone. The core is told of many at a time.
func (l *loop) leave(r *read) {
	r.gone = true
	delete(l.readers, r.token)
	if l.core.Reads() > 2*len(l.readers)+sweepReads {
		l.core.ForgetReads(func(token replica.Token) bool { return l.readers[token] == nil })
	}
}

// confirmTime is how long a read waits for a leader: for several elections. Without a majority
// there is none to wait for, and another node may be on the side that has it.
const confirmTime = 5 * time.Second

// leaderRetry is the wait advised to a caller whom no leader served.
const leaderRetry = 100 * time.Millisecond

// answerTime is what is left of a caller's time so that an answer arrives before it is over, but
// not more than a quarter of it.
const answerTime = 250 * time.Millisecond

// InTime is how long a caller may be kept waiting for a leader, at most so long: a little less than
// its deadline, or the answer that says why would come too late.
func InTime(ctx context.Context, most time.Duration) time.Duration {
	end, bounded := ctx.Deadline()
	if !bounded {
		return most
	}
	left := time.Until(end)
	return min(most, left-min(left/4, answerTime))
}

// Current returns when this replica's state has all that was acknowledged before the call.
// A group that does not confirm a leader within confirmTime refuses with NOT_LEADER; one call too
// many is refused with RATE_LIMITED.
func (g *Group) Current(ctx context.Context) error {
	if g.alone.Load() {
		return nil
	}
	most := InTime(ctx, confirmTime)
	patience := time.NewTimer(most)
	defer patience.Stop()
	return g.current(ctx, patience.C, most)
}

// current is Current that waits until tired, and then says that it was for so long.
func (g *Group) current(ctx context.Context, tired <-chan time.Time, most time.Duration) error {
	if g.alone.Load() {
		return nil
	}
	defer g.reading.Add(-1)
	if g.reading.Add(1) > maxReaders {
		return &sheaf.Error{Code: sheaf.RateLimited, Detail: "too many reads wait for the group's leader", RetryAfter: 100 * time.Millisecond}
	}
	r := &read{done: make(chan error, 1)}
	g.inbox.note(func(n *news) { n.reads = append(n.reads, r) })
	g.takeTurn()
	select {
	case err := <-r.done:
		return err
	case <-g.failed:
		return sheaf.Errorf(sheaf.Draining, "the node failed and is about to end")
	case <-g.loopDone:
	case <-tired:
		g.withdraw(r)
		within := fmt.Sprint(most.Round(time.Millisecond))
		if most < confirmTime {
			within += ", which is what the caller's deadline left"
		}
		return &sheaf.Error{
			Code: sheaf.NotLeader, RetryAfter: leaderRetry,
			Detail: "no leader of the group was confirmed within " + within + ": most of its replicas may be down or out of reach of this node",
		}
	case <-ctx.Done():
		g.withdraw(r)
		return &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err(), Detail: "the group did not confirm its leader in time"}
	}
	return sheaf.Errorf(sheaf.Draining, "the node is shutting down")
}

func (g *Group) withdraw(r *read) {
	g.inbox.add(func(n *news) { n.errands = append(n.errands, func() { g.loop.leave(r) }) })
}

// reserveStepBytes is how much is counted at a time.
const reserveStepBytes = 16 << 10

// itemOverheadBytes is what an item costs in an answer beside its bytes.
const itemOverheadBytes = 24

// arena copies many small values with few allocations: its pieces begin small, for one
// value, and double.
type arena struct {
	free []byte
	next int // size of the next piece
}

const (
	firstArenaBytes = 512
	maxArenaBytes   = 64 << 10
)

func (a *arena) copy(value []byte) []byte {
	if len(value) > len(a.free) {
		if len(value) > maxArenaBytes/4 {
			return append([]byte{}, value...)
		}
		a.next = min(maxArenaBytes, max(2*a.next, firstArenaBytes, 2*len(value)))
		a.free = make([]byte, a.next)
	}
	n := copy(a.free, value)
	out := a.free[:n:n]
	a.free = a.free[n:]
	return out
}
