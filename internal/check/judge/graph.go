package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// edgeKind says why one operation comes before another (Adya, "Weak Consistency", 1999).
type edgeKind uint8

const (
	// ww: the other wrote the key next.
	ww edgeKind = 1 << iota
	// wr: the other read what this one wrote.
	wr
	// rw: the other wrote next what this one read.
	rw
	// realtime: this one was answered before the other began.
	realtime
)

func (k edgeKind) String() string {
	return map[edgeKind]string{ww: "ww", wr: "wr", rw: "rw", realtime: "realtime"}[k]
}

// edge is a reason why its beginning comes before to.
type edge struct {
	to   int
	kind edgeKind
	key  string
}

// graph has the LINEARIZABLE operations of a trial, and why one comes before another. If they
// have one order, it has no cycle.
type graph struct {
	ops  []*history.Op
	next [][]edge
}

// orderOf gives the writes of a key in the order in which they were made.
type orderOf func(*key) []*write

// byVersion trusts the versions.
func byVersion(k *key) []*write { return k.writes }

// graph joins the operations by who wrote next, who read what, and time.
func (t *trial) graph(order orderOf) *graph {
	g := &graph{}
	number := make(map[*history.Op]int)
	for _, op := range t.Ops {
		if op.Level == sheaf.Linearizable && t.applied(op) {
			number[op] = len(g.ops)
			g.ops = append(g.ops, op)
		}
	}
	g.next = make([][]edge, len(g.ops))
	add := func(from, to *history.Op, kind edgeKind, key string) {
		a, known := number[from]
		b, also := number[to]
		if known && also && a != b {
			g.next[a] = append(g.next[a], edge{b, kind, key})
		}
	}
	for _, name := range t.names() {
		k := t.keys[name]
		writes := order(k)
		place := make(map[string]int) // by value
		for i, w := range writes {
			if w.value != nil {
				place[*w.value] = i
			}
			if i > 0 {
				add(writes[i-1].op, w.op, ww, name)
			}
		}
		for _, op := range g.ops {
			i := op.Index(name)
			if i < 0 || read(op) == nil {
				continue
			}
			value := read(op)[i]
			if value == nil {
				if !k.deleted && len(writes) > 0 {
					add(op, writes[0].op, rw, name)
				}
				continue
			}
			at, ordered := place[*value]
			if !ordered {
				continue
			}
			add(writes[at].op, op, wr, name)
			if at+1 < len(writes) {
				add(op, writes[at+1].op, rw, name)
			}
		}
	}
	g.time(add)
	return g
}

// read is what an operation found at its keys: a conditional write that was made has found what
// it was on condition of.
func read(op *history.Op) []*string {
	if op.IsWrite() {
		return op.Expect
	}
	return op.Answer.Values
}

// applied reports whether an operation has certainly happened: it was answered, or somebody
// has seen what it wrote.
func (t *trial) applied(op *history.Op) bool {
	if op.Outcome == history.OK || !op.IsWrite() {
		return op.Outcome == history.OK
	}
	for i, name := range op.Keys {
		if value := op.Writes[i]; value != nil && t.keys[name].byValue[*value].seen != nil {
			return true
		}
	}
	return t.followed[op]
}

// time adds the realtime edges that the others do not imply: from those who were answered
// before an operation began to it, except from whom another of them had been waiting for.
func (g *graph) time(add func(from, to *history.Op, kind edgeKind, key string)) {
	byStart, byEnd := slices.Clone(g.ops), slices.Clone(g.ops)
	slices.SortStableFunc(byStart, func(a, b *history.Op) int { return cmp.Compare(a.StartNS, b.StartNS) })
	slices.SortStableFunc(byEnd, func(a, b *history.Op) int { return cmp.Compare(a.EndNS, b.EndNS) })
	var answered []*history.Op
	for _, op := range byStart {
		for len(byEnd) > 0 && byEnd[0].EndNS < op.StartNS {
			done := byEnd[0]
			byEnd = byEnd[1:]
			answered = slices.DeleteFunc(answered, func(older *history.Op) bool { return older.EndNS < done.StartNS })
			answered = append(answered, done)
		}
		for _, older := range answered {
			add(older, op, realtime, "")
		}
	}
}

// cycles looks for the worst anomaly first: what needs fewer kinds of edges is worse. One is
// enough, the weaker ones would find it again.
func (t *trial) cycles(g *graph) {
	for _, time := range []edgeKind{0, realtime} {
		for _, kinds := range []edgeKind{ww, ww | wr, ww | wr | rw} {
			cycle, ok := g.cycle(kinds | time)
			if !ok {
				continue
			}
			reason := map[edgeKind]Reason{ww: G0, ww | wr: G1c, ww | wr | rw: G2}[kinds]
			if kinds&rw != 0 && cycle.count(rw) == 1 {
				reason = GSingle
			}
			if time != 0 {
				reason += realtimeSuffix
			}
			t.violated(reason, cycle.ops(g), "%s", cycle.text(g))
			return
		}
	}
}

// cycle is a way through the graph that ends where it began.
type cycle struct {
	from  int
	edges []edge
}

func (c *cycle) count(kind edgeKind) (n int) {
	for _, e := range c.edges {
		if e.kind == kind {
			n++
		}
	}
	return n
}

func (c *cycle) ops(g *graph) (ops []*history.Op) {
	for _, e := range c.edges {
		ops = append(ops, g.ops[e.to])
	}
	return ops
}

func (c *cycle) text(g *graph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "op %d", g.ops[c.from].Number)
	for _, e := range c.edges {
		fmt.Fprintf(&b, " -%s", e.kind)
		if e.key != "" {
			fmt.Fprintf(&b, "(%s)", e.key)
		}
		fmt.Fprintf(&b, "-> op %d", g.ops[e.to].Number)
	}
	return b.String()
}
