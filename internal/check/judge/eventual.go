package judge

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// quiet compares what the nodes have when a trial has ended, and counts what was accepted and
// is not there. Of a trial that was cut short nothing can be said.
func (t *trial) quiet(endpoints int) {
	if !t.Closed {
		return
	}
	t.compare(endpoints)
	// A batch has a key that nobody else writes.
	writers := make(map[string]int)
	for _, op := range t.Ops {
		if op.IsWrite() {
			for _, name := range op.Keys {
				writers[name]++
			}
		}
	}
	there := make(map[string]bool)
	var last *history.Op
	t.reads(func(op *history.Op) {
		if !op.Final || op.Level != sheaf.Linearizable {
			return
		}
		last = op
		for i, name := range op.Keys {
			there[name] = there[name] || op.Answer.Values[i] != nil
		}
	})
	for _, op := range t.Ops {
		if last == nil || !op.IsWrite() || !op.Answer.Accepted {
			continue
		}
		for i, name := range op.Keys {
			if writers[name] == 1 && last.Index(name) >= 0 && op.Writes[i] != nil && !there[name] {
				t.lost = append(t.lost, op)
				break
			}
		}
	}
}

// compare looks at the last state of every node, which were read in one round.
func (t *trial) compare(endpoints int) {
	var round []*history.Op
	for _, op := range t.Ops {
		if op.Final && op.Level == sheaf.Eventual {
			round = append(round, op)
		}
	}
	t.converged = notAll
	if len(round) < endpoints {
		return
	}
	round = round[len(round)-endpoints:]
	for _, op := range round {
		if op.Outcome != history.OK {
			return
		}
	}
	t.converged = compared
	first := round[0]
	for _, op := range round[1:] {
		for i, name := range op.Keys {
			a, b := first.Answer.Values[i], op.Answer.Values[i]
			if (a == nil) != (b == nil) || a != nil && *a != *b || first.Answer.Versions[i] != op.Answer.Versions[i] {
				t.violated(Divergence, these(first, op), "%s has %s with version %d at key %s, and %s has %s with version %d", first.Node, shown(a),
					first.Answer.Versions[i], name, op.Node, shown(b), op.Answer.Versions[i])
				return
			}
		}
	}
}
