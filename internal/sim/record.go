package sim

import (
	"bytes"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/wire"
)

// record is what happened in a world: what the clients saw, and what the group did.
type record struct {
	operations []*operation
	// log is what was applied, by index; the first replica to apply an entry writes it
	// down, the others must agree.
	log map[uint64]*entry
	// writes are those entries that wrote a batch, in the order of the log.
	writes []*entry
}

// entry is one entry of the group's log, and what it came to.
type entry struct {
	index, term uint64
	data        []byte
	hash        uint64 // of the state after it
	clock       uint64 // of the group after it, in ms
	requestID   string // the value of the batch's keys
	version     uint64
	group       int
	wrote       map[string]bool // the batch's keys; false for one that is deleted
}

func (r *record) begin() { r.log = make(map[uint64]*entry) }

// applied writes down what a replica has applied, and compares it with the others.
func (r *record) applied(w *World, n *node, e *replica.Committed, cmd *wire.Command, result *apply.Result) {
	known := r.log[e.Index]
	if known == nil {
		known = &entry{index: e.Index, term: e.Term, data: e.Data, hash: n.state.hash, clock: n.state.meta.NowMS}
		r.log[e.Index] = known
		w.stats.Entries++
		if len(e.Data) > 0 && result.Version > 0 && !result.Replayed {
			known.fill(cmd, result)
			if len(r.writes) > 0 && known.version <= r.writes[len(r.writes)-1].version {
				w.fail("entry %d has version %d, the batch before it %d", e.Index, known.version, r.writes[len(r.writes)-1].version)
			}
			r.writes = append(r.writes, known)
		}
		return
	}
	switch {
	case known.term != e.Term || !bytes.Equal(known.data, e.Data):
		w.fail("replica %d applies another entry at %d than others did", n.id, e.Index)
	case known.hash != n.state.hash || known.clock != n.state.meta.NowMS:
		w.fail("replica %d has another state after entry %d than others had", n.id, e.Index)
	}
}

// restored compares a state that came as a snapshot.
func (r *record) restored(w *World, n *node) {
	index := n.state.meta.Index
	if known := r.log[index]; known != nil && known.hash != n.state.hash {
		w.fail("replica %d was sent a state at entry %d that is not what others had", n.id, index)
	}
}

func (e *entry) fill(cmd *wire.Command, result *apply.Result) {
	e.version, e.wrote = result.Version, make(map[string]bool)
	for _, one := range cmd.Entries.All() {
		e.wrote[string(one.Key)] = !one.Delete
		if !one.Delete {
			e.requestID = string(one.Value)
		}
		e.group = int(one.Key[1] - '0')
	}
}
