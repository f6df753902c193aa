package sim

import (
	"bytes"
	"context"
	"maps"
	"math"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	groups "github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// here is a group as a coordinator sees it that runs beside one of its replicas: reads are of
// that one's state, writes go to the leader. It may be a replica that is behind, was removed,
// or has just been added and has nothing.
type here struct {
	c *carrier
	n *node
}

var _ coordinator.Replica = here{}

// here returns any replica of a group: a client goes from node to node. When all faults have
// ended it knows better than to ask one that is none of the group's.
func (w *World) here(c *carrier, group uint64) here {
	replicas := w.group(group).replicas
	if w.calm {
		replicas = w.group(group).members()
	}
	return here{c, replicas[w.rng.IntN(len(replicas))]}
}

// silent is the error of a replica that does not answer.
var silent = &sheaf.Error{Code: sheaf.NotProposed}

// look looks at the replica's state, and before makes sure that it is current if wanted.
func (h here) look(current bool, do func(s *state)) error {
	heard := h.c.await(func(told func()) {
		if !h.n.alive {
			return
		}
		h.n.soon(0, func() {
			serve := func() {
				do(h.n.state)
				told()
			}
			if current {
				h.n.read(serve)
			} else {
				serve()
			}
		})
	})
	if !heard {
		return silent
	}
	return nil
}

// Read is part of coordinator.Replica: see group.Group.Read.
func (h here) Read(_ context.Context, req groups.ReadRequest) (result groups.ReadResult, err error) {
	silence := h.look(req.Level == sheaf.Linearizable, func(s *state) { result, err = h.n.readKeys(req, s) })
	if silence != nil {
		return groups.ReadResult{}, silence
	}
	return result, err
}

func (n *node) readKeys(req groups.ReadRequest, s *state) (result groups.ReadResult, err error) {
	if n.w.cfg.Mutant == ReadOther {
		req.After = 0
	}
	held, refusal, err := apply.Readable(req.Keys, req.Level, req.After, s)
	switch {
	case err != nil:
		n.w.fail("replica %d of group %d reads: %v", n.id, n.group.id, err)
	case refusal != nil:
		return result, refusal
	case held:
		return groups.ReadResult{Held: true}, nil
	}
	for i, seen := range s.collect(n, &coordinator.CollectCall{Keys: req.Keys, Values: true}) {
		item := sheaf.Item{Key: req.Keys[i]}
		if seen.Live {
			item.Found, item.Version, item.Value = true, seen.Version, seen.Value
		}
		result.Items = append(result.Items, item)
	}
	return result, nil
}

// Propose is part of coordinator.Replica.
func (h here) Propose(_ context.Context, cmd *wire.Command) (apply.Result, groups.Timing, error) {
	reply := h.c.Call([]coordinator.Call{{Group: h.n.group.id, Command: cmd}})[0]
	if reply.Silent {
		return apply.Result{}, groups.Timing{}, silent
	}
	return reply.Result, groups.Timing{}, nil
}

// Check is group.Group.Check.
func (h here) Check(cmd *wire.Command) (result apply.Result, answered bool, err error) {
	silence := h.look(false, func(s *state) {
		stamped := *cmd
		h.n.stamp(&stamped)
		result, answered, err = apply.Check(&stamped, s)
	})
	if silence != nil {
		return apply.Result{}, false, silence
	}
	return result, answered, err
}

// Attempts is group.Group.Attempts.
func (h here) Attempts() (found []wire.Holder, err error) {
	silence := h.look(true, func(s *state) {
		if s.meta.Held > 0 {
			var all apply.Overdue
			all, err = apply.FindOverdue(math.MaxUint64, math.MaxInt, s)
			found = all.Attempts
		}
	})
	if silence != nil {
		return nil, silence
	}
	return found, err
}

// Scan is group.Group.Scan.
func (h here) Scan(prefix []byte) (*cursor, error) {
	c := &cursor{n: h.n, life: h.n.life}
	err := h.look(true, func(s *state) {
		for _, key := range slices.Sorted(maps.Keys(s.spaces[store.Data])) {
			if bytes.HasPrefix([]byte(key), prefix) {
				c.keys = append(c.keys, key)
			}
		}
		// Some stores scan one state, others sort the keys first and look at each when they
		// come to it.
		if h.n.w.chance(2) {
			c.still = s.clone()
		}
	})
	return c, err
}

// cursor is a scan of a replica.
type cursor struct {
	n     *node
	life  uint64
	keys  []string
	still *state // nil: the state as it is by then
	item  sheaf.Item
}

// Next is part of coordinator.Cursor.
func (c *cursor) Next() bool {
	for len(c.keys) > 0 && c.Err() == nil {
		key := []byte(c.keys[0])
		c.keys = c.keys[1:]
		s := c.still
		if s == nil {
			s = c.n.state
		}
		seen := s.collect(c.n, &coordinator.CollectCall{Keys: [][]byte{key}, Values: true})[0]
		if seen.Live {
			c.item = sheaf.Item{Key: key, Value: seen.Value, Version: seen.Version, Found: true}
			return true
		}
	}
	return false
}

// Item is part of coordinator.Cursor.
func (c *cursor) Item() sheaf.Item { return c.item }

// Err is part of coordinator.Cursor: a scan ends with the process.
func (c *cursor) Err() error {
	if c.n.life != c.life {
		return silent
	}
	return nil
}
