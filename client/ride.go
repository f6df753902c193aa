package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/router"
)

// lanes are those of a Client.
type lanes struct {
	writes, reads [ridingLevels][router.MaxGroups + 1]lane
	riders        sync.Pool
}

// ridingLevels are LINEARIZABLE and SEQUENTIAL: a call at EVENTUAL goes by itself.
const ridingLevels = int(sheaf.Sequential) + 1

func (l *lanes) each(do func(one *lane, writes bool, level sheaf.Consistency, route int)) {
	for level := range ridingLevels {
		for route := range router.MaxGroups + 1 {
			do(&l.writes[level][route], true, sheaf.Consistency(level), route)
			do(&l.reads[level][route], false, sheaf.Consistency(level), route)
		}
	}
}

// openLanes makes the lanes of a Client.
func (c *Client) openLanes() {
	c.life, c.end = context.WithCancel(context.Background())
	c.lanes.riders.New = newRider
	c.lanes.each(func(one *lane, writes bool, level sheaf.Consistency, route int) {
		one.running, one.riders = &c.running, &c.lanes.riders
		if writes {
			one.send = func(b *bundle) { c.sendWrites(b, one, level, route) }
		} else {
			one.send = func(b *bundle) { c.sendReads(b, one, level, route) }
		}
	})
}

// closeLanes fails what waits, ends what is between two attempts, and returns when nothing of
// it runs any more.
func (c *Client) closeLanes() {
	closed := &sheaf.Error{Code: sheaf.NotProposed, Detail: "the client was closed"}
	c.lanes.each(func(one *lane, _ bool, _ sheaf.Consistency, _ int) {
		if b := one.close(); b != nil {
			b.fail(closed)
			b.answer()
			b.drop()
		}
	})
	c.end()
	c.running.Wait()
}

// rides says whether a call may be sent together with others: it asks for nothing that would
// concern them too.
func (o *readOptions) rides(ctx context.Context) bool {
	if o.noRetry || o.hedge > 0 || o.level < 0 || int(o.level) >= ridingLevels {
		return false
	}
	_, own := metadata.FromOutgoingContext(ctx) // the caller's own word to the node
	return !own
}

// writeOne writes one entry, together with others that are written at the same time.
func (c *Client) writeOne(ctx context.Context, op string, entry sheaf.Entry, opts []WriteOption) (Result, error) {
	o, invalid := gatherWrite(opts)
	if invalid != nil {
		invalid.Op = op
		return Result{RequestID: o.id}, invalid
	}
	size := entryOverheadBytes + entryOptionOverheadBytes + len(entry.Key) + len(entry.Value)
	if o.idSet || o.matchSet || o.noneSet || size > maxRiderBytes || !o.rides(ctx) || c.noBundles.Load() {
		return c.writeWith(ctx, op, []sheaf.Entry{entry}, &o)
	}
	route := c.nodes.routeOf(func(yield func([]byte) bool) { yield(entry.Key) })
	l := &c.lanes.writes[o.level][route]
	r := l.enter(ctx, op, o.after, func(dst []byte) []byte { return appendEntry(dst, &entry, o.ttl) })
	if r == nil {
		defer l.leave()
		return c.writeWith(ctx, op, []sheaf.Entry{entry}, &o)
	}
	if gone := c.await(ctx, r); gone != nil {
		return l.giveUpWrite(r, gone)
	}
	result, err := r.result, r.err
	l.reuse(r)
	return result, err
}

// readOne reads one key, together with others that are read at the same time.
func (c *Client) readOne(ctx context.Context, op string, key []byte, opts []ReadOption) (sheaf.Item, error) {
	o := gatherRead(opts)
	// At SEQUENTIAL the largest `after` of a bundle would keep the others waiting for a replica.
	if !o.rides(ctx) || len(key) > maxRiderBytes || o.level == sheaf.Sequential && o.after != 0 {
		return c.readAlone(ctx, op, key, &o)
	}
	l := &c.lanes.reads[o.level][c.nodes.groupOf(key)]
	r := l.enter(ctx, op, o.after, func(dst []byte) []byte { return appendKey(dst, key) })
	if r == nil {
		defer l.leave()
		return c.readAlone(ctx, op, key, &o)
	}
	if gone := c.await(ctx, r); gone != nil {
		late := &sheaf.Error{Code: sheaf.NotProposed, Op: op, Err: gone, Detail: "the caller's time was over before the read was answered"}
		if l.withdraw(r) {
			l.reuse(r)
			return sheaf.Item{}, late
		}
		if !r.lastWord(gone) {
			r.bundle.leave(r)
			return sheaf.Item{}, late
		}
	}
	item, err := cloneItem(r.item), r.err
	l.reuse(r)
	return item, err
}

func (c *Client) readAlone(ctx context.Context, op string, key []byte, o *readOptions) (sheaf.Item, error) {
	values, err := c.readWith(ctx, op, [][]byte{key}, o)
	if err != nil {
		return sheaf.Item{}, err
	}
	return values.Items[0], nil
}

// cloneItem gives an item memory of its own: what it views is the answer to many.
func cloneItem(item sheaf.Item) sheaf.Item {
	if len(item.Key) == 0 {
		return item
	}
	room := make([]byte, 0, len(item.Key)+len(item.Value))
	room = append(append(room, item.Key...), item.Value...)
	item.Key = room[:len(item.Key):len(item.Key)]
	if len(item.Value) > 0 {
		item.Value = room[len(item.Key):]
	}
	return item
}

// await waits for a rider's answer. If the caller waits no more it returns why.
func (c *Client) await(ctx context.Context, r *rider) error {
	var late <-chan time.Time
	if _, bounded := ctx.Deadline(); !bounded {
		r.timer.Reset(c.timeout)
		defer r.timer.Stop()
		late = r.timer.C
	}
	gone := context.DeadlineExceeded
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		gone = ctx.Err()
	case <-late:
	}
	select {
	case <-r.done: // just in time
		return nil
	default:
		return gone
	}
}

// lastWord waits a moment for the answer to a bundle that is on its way, when the caller's time is over:
// its own is over too, and it knows what took so long.
func (r *rider) lastWord(gone error) bool {
	if !errors.Is(gone, context.DeadlineExceeded) {
		return false
	}
	wait := time.NewTimer(clockSlack)
	defer wait.Stop()
	select {
	case <-r.done:
		return true
	case <-wait.C:
		return false
	}
}

// giveUpWrite is the end of a write whose caller waits no more.
func (l *lane) giveUpWrite(r *rider, gone error) (Result, error) {
	b, op := r.bundle, r.op
	if l.withdraw(r) {
		l.reuse(r)
		return Result{}, &sheaf.Error{Code: sheaf.NotProposed, Op: op, Err: gone, Detail: "the caller's time was over before the write was sent"}
	}
	if !b.leave(r) { // just in time
		<-r.done
		result, err := r.result, r.err
		l.reuse(r)
		return result, err
	}
	result := Result{Attempts: int(b.attempts.Load())}
	if id := b.id.Load(); id != nil {
		result.RequestID = b.nameOf(*id, r.place)
	}
	return result, &sheaf.Error{
		Code: sheaf.OutcomeUnknown, Op: op, Err: gone,
		Detail: fmt.Sprintf("the caller's time was over while the write was on its way: it may be applied or not (request ID %s)", result.RequestID),
	}
}

// isPlace says whether an ID is one that nameOf has made of an ID of ours and a place.
func isPlace(id sheaf.RequestID) bool {
	whole, place, cut := strings.Cut(string(id), "/")
	if _, ours := sheaf.RequestID(whole).IssueTime(); !cut || !ours {
		return false
	}
	_, err := strconv.ParseUint(place, 10, 32)
	return err == nil
}

// nameOf is the request ID of one write of a bundle that is taken: the bundle's, a slash and
// its place; of the only one the bundle's.
func (b *bundle) nameOf(id sheaf.RequestID, place int) sheaf.RequestID {
	if len(b.members) == 1 {
		return id
	}
	return id + sheaf.RequestID("/"+strconv.Itoa(place))
}

// begin gives a bundle a context: the first caller's values, the latest deadline, and an end
// when nobody waits any more or the client is closed.
func (c *Client) begin(b *bundle) (context.Context, context.CancelFunc) {
	deadline := b.deadline
	if latest := time.Now().Add(c.timeout); b.unbounded && latest.After(deadline) {
		deadline = latest
	}
	ctx, cancel := context.WithDeadline(b.ctx, deadline)
	stop := context.AfterFunc(c.life, cancel)
	return ctx, func() {
		stop()
		cancel()
		b.giveUp()
	}
}
