package group

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf"
)

// cutter keeps the log within its bound: when half of it is used it flushes the
// store in the background and cuts the log behind what is durable there. Writers
// wait for it only when the whole bound is used.
type cutter struct {
	g  *Group
	mu sync.Mutex
	// idle is broadcast when a run ends.
	idle    *sync.Cond
	running bool
	err     error // of the last run
}

func (c *cutter) init(g *Group) {
	c.g = g
	c.idle = sync.NewCond(&c.mu)
}

// maybe starts a run if the log is half full and none is on its way.
func (c *cutter) maybe() {
	if c.g.cfg.Log.SizeBytes() < c.g.cfg.LogBytes/2 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running {
		c.running = true
		go c.run()
	}
}

func (c *cutter) run() {
	start := time.Now()
	durable, err := c.g.cfg.Store.Flush()
	if err == nil {
		err = c.g.cfg.Log.Cut(c.g.cfg.ID, durable)
	}
	logger := c.g.cfg.Logger.With("group", c.g.cfg.ID)
	if err != nil {
		logger.Error("cut the log", "err", err)
	} else {
		logger.Debug("log cut", "durable", durable, "log_bytes", c.g.cfg.Log.SizeBytes(), "took", time.Since(start))
	}
	c.mu.Lock()
	c.running, c.err = false, err
	c.idle.Broadcast()
	c.mu.Unlock()
}

// cutAttempts is how many runs a round waits for: one that was already on its
// way, one that flushes all that is applied, and one for what was applied late.
const cutAttempts = 3

// waitForRoom returns when the log is within its bound. When the store cannot
// be flushed it says so instead of waiting for ever.
func (c *cutter) waitForRoom() error {
	for range cutAttempts {
		if c.g.cfg.Log.SizeBytes() < c.g.cfg.LogBytes {
			return nil
		}
		c.maybe()
		if err := c.wait(); err != nil {
			return c.full(err)
		}
	}
	if c.g.cfg.Log.SizeBytes() < c.g.cfg.LogBytes {
		return nil
	}
	return c.full(nil)
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
