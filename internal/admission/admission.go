// Package admission decides whether a node takes on a request, before work is
// done for it: it counts the bytes of all requests in flight, and it holds the
// reasons for which writes are refused for now.
//
// It is pure bookkeeping: it reads no clock, disk or network. Whoever watches
// the disk and the signals tells it.
package admission

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
)

// Gate is a node's admission. Its methods may be called from any goroutine.
type Gate struct {
	limit int64
	// inFlight exceeds limit only by what Hold counts.
	inFlight atomic.Int64
	shut     atomic.Pointer[closed]
	noSpace  atomic.Pointer[string]

	mu sync.Mutex
	// freed is closed and cleared by the next Release; nil while nobody waits.
	freed chan struct{}
}

// closed is why a node takes nothing, and the wait advised to who asks.
type closed struct {
	detail string
	retry  time.Duration
}

// NewGate returns a gate that holds at most limit bytes in flight.
func NewGate(limitBytes int64) *Gate { return &Gate{limit: limitBytes} }

// busyRetry is the wait advised to a caller who meets a full node.
const busyRetry = 100 * time.Millisecond

// Reserve counts n bytes in flight, or refuses with RATE_LIMITED when they do
// not fit; it never waits. The caller must Release the same number.
func (g *Gate) Reserve(n int64) error {
	for {
		now := g.inFlight.Load()
		if now+n > g.limit {
			return &sheaf.Error{
				Code: sheaf.RateLimited, RetryAfter: busyRetry,
				Detail: "the requests in flight hold all the memory that is set aside for them (limits.in_flight_bytes)",
			}
		}
		if g.inFlight.CompareAndSwap(now, now+n) {
			return nil
		}
	}
}

// Hold counts n bytes in flight that are in memory already, whether they fit or
// not. The caller must Release the same number.
func (g *Gate) Hold(n int64) { g.inFlight.Add(n) }

// ReserveWait is Reserve for a caller that can wait for room until ctx ends.
func (g *Gate) ReserveWait(ctx context.Context, n int64) error {
	for {
		g.mu.Lock()
		if g.freed == nil {
			g.freed = make(chan struct{})
		}
		freed := g.freed
		g.mu.Unlock()
		err := g.Reserve(n) // after asking to be told: no Release is missed
		if err == nil {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return err
		}
	}
}

// Release gives back what Reserve counted.
func (g *Gate) Release(n int64) {
	g.inFlight.Add(-n)
	g.mu.Lock()
	if g.freed != nil {
		close(g.freed)
		g.freed = nil
	}
	g.mu.Unlock()
}

// InFlight returns the bytes in flight and their limit.
func (g *Gate) InFlight() (now, limit int64) { return g.inFlight.Load(), g.limit }

// Drain refuses writes and reads from here on: the node shuts down.
func (g *Gate) Drain() { g.shut.Store(&closed{"the node is shutting down", busyRetry}) }

// shutRetry is the wait advised to a caller of a node that never serves again as it is: longer than
// one can wait, so that it asks another node or tells somebody.
const shutRetry = time.Hour

// Shut refuses writes and reads for good with DRAINING and this detail.
func (g *Gate) Shut(detail string) { g.shut.Store(&closed{detail, shutRetry}) }

// Draining reports whether Drain or Shut was called.
func (g *Gate) Draining() bool { return g.shut.Load() != nil }

// SetNoSpace refuses writes with NO_SPACE and this detail; an empty detail takes
// them again. Reads go on.
func (g *Gate) SetNoSpace(detail string) {
	if detail == "" {
		g.noSpace.Store(nil)
		return
	}
	g.noSpace.Store(&detail)
}

// NoSpace reports whether writes are refused for want of space.
func (g *Gate) NoSpace() bool { return g.noSpace.Load() != nil }

// spaceRetry is the wait advised when the disk is full.
const spaceRetry = time.Second

// Write says whether a write may go on.
func (g *Gate) Write() error {
	if err := g.Read(); err != nil {
		return err
	}
	return g.Space()
}

// Space says whether the disk has room for writes.
func (g *Gate) Space() error {
	if detail := g.noSpace.Load(); detail != nil {
		return &sheaf.Error{Code: sheaf.NoSpace, Detail: *detail, RetryAfter: spaceRetry}
	}
	return nil
}

// Read says whether a read may go on.
func (g *Gate) Read() error {
	if shut := g.shut.Load(); shut != nil {
		return &sheaf.Error{Code: sheaf.Draining, Detail: shut.detail, RetryAfter: shut.retry}
	}
	return nil
}
