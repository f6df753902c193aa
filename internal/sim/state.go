package sim

import (
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/store"
)

// state is a group's state in maps: what a store keeps, and the replicas as of its index.
type state struct {
	meta   store.Meta
	conf   *pb.ConfState
	spaces map[store.Space]map[string]string
	// hash is the sum of the hashes of all keys with their values.
	hash uint64
}

func newState() *state {
	return &state{conf: &pb.ConfState{}, spaces: map[store.Space]map[string]string{store.Data: {}, store.Rows: {}, store.Due: {}, store.Attempts: {}, store.Held: {}, store.Own: {}}}
}

func (s *state) clone() *state {
	c := *s
	c.spaces = make(map[store.Space]map[string]string, len(s.spaces))
	for space, keys := range s.spaces {
		c.spaces[space] = maps.Clone(keys)
	}
	return &c
}

// apply does what a command came to.
func (s *state) apply(m *store.Mutations) {
	for i := range m.Ops {
		op := &m.Ops[i]
		keys, key := s.spaces[op.Space], string(op.Key)
		if old, ok := keys[key]; ok {
			s.hash -= hashOf(op.Space, key, old)
			delete(keys, key)
		}
		if !op.Delete {
			value := string(op.Head) + string(op.Value)
			keys[key] = value
			s.hash += hashOf(op.Space, key, value)
		}
	}
	s.meta = m.Meta
}

func hashOf(space store.Space, key, value string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{byte(space), byte(len(key)), byte(len(key) >> 8)})
	_, _ = h.Write([]byte(key))
	_, _ = h.Write([]byte(value))
	return h.Sum64()
}

// Meta is part of apply.State.
func (s *state) Meta() store.Meta { return s.meta }

// Get is part of apply.State.
func (s *state) Get(space store.Space, key []byte) ([]byte, bool, error) {
	value, ok := s.spaces[space][string(key)]
	return []byte(value), ok, nil
}

// DueKeys is part of apply.State.
func (s *state) DueKeys(prefix []byte, visit func(key []byte) bool) error {
	for _, key := range slices.Sorted(maps.Keys(s.spaces[store.Due])) {
		if strings.HasPrefix(key, string(prefix)) && !visit([]byte(key)) {
			break
		}
	}
	return nil
}

// collect reads for a reader.
func (s *state) collect(n *node, call *coordinator.CollectCall) []apply.Seen {
	seen, err := apply.Collect(call.Keys, call.Values, n.wallMS(), s, func(int) error { return nil })
	if err != nil {
		n.w.fail("replica %d of group %d reads: %v", n.id, n.group.id, err)
	}
	return seen
}

// verdict judges an attempt.
func (n *node) verdict(call *coordinator.StatusCall) apply.Result {
	state := n.state
	if n.w.cfg.Mutant == StatusByWallClock {
		state = state.clone()
		state.meta.NowMS = max(state.meta.NowMS, n.wallMS())
	}
	result, err := apply.Status(call.RequestID, call.Attempt, call.DeadlineMS, call.RetentionMS, state)
	if err != nil {
		n.w.fail("replica %d of group %d judges: %v", n.id, n.group.id, err)
	}
	return result
}
