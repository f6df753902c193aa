package sim

import (
	"bytes"
	"slices"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// entry is one entry of a group's log, and the state after it. The first replica to apply
// it writes it down, the others must agree.
type entry struct {
	term  uint64
	data  []byte
	hash  uint64
	nowMS uint64
}

// applied writes down what a replica has applied, and compares it with the others.
func (g *group) applied(w *World, n *node, e *replica.Committed, cmd *wire.Command, result *apply.Result) {
	known := g.log[e.Index]
	if known == nil {
		g.log[e.Index] = &entry{term: e.Term, data: e.Data, hash: n.state.hash, nowMS: n.state.meta.NowMS}
		w.stats.Entries++
		g.note(n, e, cmd, result)
		return
	}
	switch {
	case known.term != e.Term || !bytes.Equal(known.data, e.Data):
		w.fail("replica %d of group %d applies another entry at %d than others did", n.id, g.id, e.Index)
	case known.hash != n.state.hash || known.nowMS != n.state.meta.NowMS:
		w.fail("replica %d of group %d has another state after entry %d than others had", n.id, g.id, e.Index)
	}
}

// note counts the part of a batch that an entry has written. A key's versions only rise.
func (g *group) note(n *node, e *replica.Committed, cmd *wire.Command, result *apply.Result) {
	if len(e.Data) == 0 || cmd.Kind == wire.Tick {
		return
	}
	version, at := max(cmd.Version, result.Version), n.w.now
	switch cmd.Kind {
	case wire.Decide:
		n.w.decided[cmd.RequestID] = at
	case wire.Resolve:
		at = n.w.decided[cmd.RequestID]
	}
	var each map[string]uint64 // versions
	if cmd.Kind == wire.Bundle {
		each = versionsOf(cmd, result)
	}
	wrote := false
	for i := range n.out.Ops {
		op := &n.out.Ops[i]
		if op.Space != store.Data {
			continue
		}
		wrote = true
		key, history := string(op.Key), g.history[string(op.Key)]
		if each != nil {
			version = each[key]
		}
		if len(history) > 0 && version <= history[len(history)-1].version {
			n.w.fail("group %d writes key %q at version %d after version %d", g.id, key, version, history[len(history)-1].version)
		}
		change := change{value: value{version: version}, id: cmd.RequestID, at: at}
		if !op.Delete {
			record, err := wire.DecodeRecord(append(slices.Clone(op.Head), op.Value...))
			if err != nil {
				n.w.fail("group %d writes key %q: %v", g.id, key, err)
			}
			change.batch = string(record.Value)
		}
		g.history[key] = append(history, change)
		g.places[placeOf{cmd.RequestID, key}] = len(history) + 1
	}
	if !wrote {
		return
	}
	if g.parts[cmd.RequestID] == nil {
		g.parts[cmd.RequestID] = &written{version: version, at: n.w.now}
	}
	g.parts[cmd.RequestID].times++
}

// restored compares a state that came as a snapshot.
func (g *group) restored(w *World, n *node) {
	index := n.state.meta.Index
	if known := g.log[index]; known != nil && known.hash != n.state.hash {
		w.fail("replica %d of group %d was sent a state at entry %d that is not what others had", n.id, g.id, index)
	}
}
