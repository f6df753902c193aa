package group

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf"
)

// cutter keeps the log within its bound: it cuts the log behind what is durable in the
// store, and when half of the bound is used it flushes the store in the background.
// Writers wait for it only when the whole bound is used.
type cutter struct {
	g  *Group
	mu sync.Mutex
	// idle is broadcast when a run ends.
	idle    *sync.Cond
	running bool
	err     error     // of the last run
	failed  time.Time // when err was set
	// tried counts the runs that made no room for those who wait.
	tried int

	// bound is how many bytes of sealed segments there may be; cutTo is where the log
	// was cut last.
	bound atomic.Int64
	cutTo atomic.Uint64
}

func (c *cutter) init(g *Group) {
	c.g = g
	c.idle = sync.NewCond(&c.mu)
	c.setBound()
}

// setBound fits the bound to the store. A flush that writes the whole state (the
// memory store's) is worth its bytes only when as many were logged since the last:
// then it doubles what the disk gets, at any size.
func (c *cutter) setBound() {
	c.bound.Store(max(c.g.cfg.LogBytes, min(c.g.cfg.LogMostBytes, 2*c.g.store.FlushBytes())))
}

// maybe starts a run if the log, which all groups share, is half full and this group keeps
// its oldest segment. A store that makes things durable by itself is followed from an eighth
// on: the sooner segments come back, the fewer new ones have to be written through.
func (c *cutter) maybe(bound int64) {
	switch sealed := c.g.cfg.Log.SealedBytes(); {
	case sealed >= bound/2 && c.g.cfg.Log.Pins(c.g.cfg.ID):
		c.start(true)
	case sealed >= bound/8 && c.g.store.Durable() > c.cutTo.Load():
		c.start(false)
	}
}

// retryCut is how long a failed run is not tried again: it filled a disk, or
// would have.
const retryCut = time.Second

// start begins a run if none is on its way; without flush it only cuts.
func (c *cutter) start(flush bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running && (c.err == nil || time.Since(c.failed) >= retryCut) {
		c.running = true
		go c.run(flush)
	}
}

func (c *cutter) run(flush bool) {
	start := time.Now()
	var err error
	if flush {
		err = c.flush()
	}
	if err == nil {
		durable := c.g.store.Durable()
		if err = c.g.cfg.Log.Cut(c.g.cfg.ID, durable); err == nil {
			c.cutTo.Store(durable)
		}
	}
	logger := c.g.cfg.Logger.With("group", c.g.cfg.ID)
	if err != nil {
		logger.Error("cut the log", "err", err)
	} else {
		logger.Debug("log cut", "durable", c.g.store.Durable(), "log_bytes", c.g.cfg.Log.SizeBytes(), "took_ms", time.Since(start).Milliseconds())
	}
	c.mu.Lock()
	c.running = false
	if flush || err != nil { // to cut alone says nothing about a flush that failed
		c.err, c.failed = err, time.Now()
	}
	c.idle.Broadcast()
	c.mu.Unlock()
	c.g.cfg.Journal.wake()
}

func (c *cutter) atWork() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// flush does not begin what the disk has no room for: it would fill the disk for
// everybody and fail.
func (c *cutter) flush() error {
	if free, need := c.g.cfg.Free(), c.g.store.FlushBytes(); free >= 0 && free < need {
		return fmt.Errorf("flush the store: it needs %d MiB and %d are free: %w", need>>20, free>>20, syscall.ENOSPC)
	}
	_, err := c.g.store.Flush()
	if err == nil {
		c.setBound()
	}
	return err
}

// cutAttempts is how many runs those who wait for room wait for: one that was already on
// its way, one that flushes all that is applied, and one for what was applied late.
const cutAttempts = 3

// room says whether the log is within its bound. If it is not, a run is on its way and
// writers have to wait for its end, or the store could not be flushed and err says so.
func (c *cutter) room() (err error, wait bool) {
	full := c.g.cfg.Log.SealedBytes() >= max(c.bound.Load(), c.g.cfg.Journal.bound.Load())
	if full && !c.g.cfg.Log.Pins(c.g.cfg.ID) && c.g.cfg.Journal.cut() {
		return nil, true // it is for another group to make room
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !full:
		c.tried = 0
		return nil, false
	case c.running:
		return nil, true
	case c.err != nil && time.Since(c.failed) < retryCut:
		return c.full(c.err), false
	case c.tried >= cutAttempts:
		c.tried = 0
		return c.full(nil), false
	}
	c.tried++
	c.running = true
	go c.run(true)
	return nil, true
}

// full is the answer to a round that finds no room in the log.
func (c *cutter) full(cause error) error {
	code := sheaf.RateLimited
	if errors.Is(cause, syscall.ENOSPC) {
		code = sheaf.NoSpace
	}
	return &sheaf.Error{
		Code: code, Err: cause, RetryAfter: time.Second,
		Detail: "the log is full and could not be cut",
	}
}

// wait returns when no run is on its way, with the error of the last.
func (c *cutter) wait() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.running {
		c.idle.Wait()
	}
	return c.err
}
