package sim

import (
	"fmt"
	"time"

	"github.com/sheafdb/sheaf/internal/coordinator"
)

// group is a replica group: some machines, and what they have agreed on.
type group struct {
	id       uint64
	replicas []*node // by ID - 1
	log      map[uint64]*entry
	// parts are how often a batch's part was written here, and at which version, by the
	// value that it wrote.
	parts map[string]*written
	// history are the changes of a key, and places where in it a request's is, from 1.
	history map[string][]change
	places  map[placeOf]int
}

type placeOf struct{ id, key string }

type written struct {
	times   int
	version uint64
	at      time.Duration // of the entry that wrote it
}

// maxGroups is how many a world may have.
const maxGroups = 3

// keysets are sets of keys that are written and read together; the keys of a set live in
// different groups.
const (
	keysets       = 3
	keysPerKeyset = 4
)

func keysOf(set int) (keys [][]byte) {
	for i := range keysPerKeyset {
		keys = append(keys, fmt.Appendf(nil, "s%d-%d", set, i))
	}
	return keys
}

// groupOf says where a key lives.
func (w *World) groupOf(key []byte) uint64 {
	set, i := int(key[1]-'0'), int(key[3]-'0')
	return uint64((set+i)%len(w.groups)) + 1
}

func (w *World) group(id uint64) *group { return w.groups[id-1] }

// leader is a replica that leads, or thinks so.
func (g *group) leader() *node {
	for _, n := range g.replicas {
		if n.alive && n.core.Status().Leading {
			return n
		}
	}
	return nil
}

// anyone is a replica to ask: the leader, more often than not.
func (w *World) anyone(g *group) *node {
	if leader := g.leader(); leader != nil && (w.calm || !w.chance(8)) {
		return leader
	}
	return g.replicas[w.rng.IntN(len(g.replicas))]
}

// each visits all replicas of all groups.
func (w *World) each(visit func(*node)) {
	for _, g := range w.groups {
		for _, n := range g.replicas {
			visit(n)
		}
	}
}

var _ coordinator.Carrier = (*carrier)(nil)
