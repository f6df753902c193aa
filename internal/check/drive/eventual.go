package drive

import (
	"sync"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// eventual is batches that are accepted and written later. Each has a key of its own, which
// shows in the end whether it was lost, and some of the keys that all write.
type eventual struct {
	shared []string

	mu sync.Mutex
	// own are the keys of one batch each; accepted are those that are to be there.
	own      []string
	accepted map[string]bool
}

const sharedKeys = 4

// quietPause is between two looks at whether all nodes have the same.
const quietPause = 100 * time.Millisecond

// lossPatience is how long accepted batches are waited for in a cluster that agrees.
const lossPatience = 3 * time.Second

func newEventual(*team) script {
	return &eventual{shared: named("e", sharedKeys), accepted: make(map[string]bool)}
}

func (s *eventual) begin(*caller) bool { return true }

func (s *eventual) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(append([]string(nil), s.shared...), s.own...)
}

func (s *eventual) step(c *caller) {
	keys := some(c.rng, s.shared, 0, 2)
	if c.percent(40) {
		c.read(sheaf.Eventual, s.shared...)
		return
	}
	own := "own-" + c.fresh()
	s.mu.Lock()
	s.own = append(s.own, own)
	s.mu.Unlock()
	b := &batch{keys: append(keys, own), values: c.freshFor(len(keys) + 1), level: sheaf.Eventual}
	if c.write(b) == history.OK {
		s.mu.Lock()
		s.accepted[own] = true
		s.mu.Unlock()
	}
}

// finish reads every node's own state until all are the same and have what was accepted, or
// until that has taken too long. The judge takes the last look at each.
func (s *eventual) finish(c *caller) {
	keys := s.keys()
	var agreed time.Time
	for until := time.Now().Add(c.Settle); time.Now().Before(until) && c.work.Err() == nil; pause(c.work, quietPause) {
		states, all := s.look(c, keys)
		if !all || !same(states) {
			agreed = time.Time{}
			if !all && c.load.Err() == nil && time.Until(until) < c.Settle-brief {
				return // somebody is away, and the load goes on
			}
			continue
		}
		if agreed.IsZero() {
			agreed = time.Now()
		}
		if s.complete(keys, states[0]) || time.Since(agreed) > lossPatience {
			return
		}
	}
}

// look reads the state of each node; all is false if one did not answer.
func (s *eventual) look(c *caller, keys []string) (states []found, all bool) {
	all = true
	for _, n := range c.nodes {
		f, ok := c.sendRead(&reading{keys: keys, level: sheaf.Eventual, last: true}, n, false)
		if ok {
			states = append(states, f)
		}
		all = all && ok
	}
	return states, all
}

func same(states []found) bool {
	for _, other := range states[1:] {
		for i, value := range other.values {
			first := states[0].values[i]
			if other.versions[i] != states[0].versions[i] || (value == nil) != (first == nil) || value != nil && *value != *first {
				return false
			}
		}
	}
	return true
}

// complete reports whether every accepted batch is there.
func (s *eventual) complete(keys []string, state found) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, key := range keys {
		if s.accepted[key] && state.values[i] == nil {
			return false
		}
	}
	return true
}
