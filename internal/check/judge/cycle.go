package judge

// cycle returns the shortest cycle of these kinds of edges, and one with a single rw edge
// before those with more.
func (g *graph) cycle(kinds edgeKind) (best cycle, found bool) {
	consider := func(from int, first edge, others edgeKind, component []int) {
		way, ok := g.way(first.to, from, others, component)
		if ok && (!found || len(way)+1 < len(best.edges)) {
			best, found = cycle{from, append([]edge{first}, way...)}, true
		}
	}
	component := g.components(kinds)
	each := func(first, others edgeKind) {
		for from, edges := range g.next {
			for _, e := range edges {
				if e.kind&first != 0 && component[from] == component[e.to] {
					consider(from, e, others, component)
				}
			}
		}
	}
	if kinds&rw != 0 {
		each(rw, kinds&^rw)
		if found {
			return best, true
		}
	}
	each(kinds, kinds)
	return best, found
}

// way is the shortest way between two operations of one component.
func (g *graph) way(from, to int, kinds edgeKind, component []int) (way []edge, ok bool) {
	if from == to {
		return nil, true
	}
	type step struct {
		node, back int
		by         edge
	}
	seen := map[int]bool{from: true}
	steps := []step{{from, -1, edge{}}}
	for at := 0; at < len(steps); at++ {
		for _, e := range g.next[steps[at].node] {
			if e.kind&kinds == 0 || component[e.to] != component[from] || seen[e.to] {
				continue
			}
			seen[e.to] = true
			steps = append(steps, step{e.to, at, e})
			if e.to != to {
				continue
			}
			for i := len(steps) - 1; i > 0; i = steps[i].back {
				way = append([]edge{steps[i].by}, way...)
			}
			return way, true
		}
	}
	return nil, false
}

// components numbers the strongly connected components (Tarjan, 1972, without recursion, so
// that a long history needs no deep stack). Only nodes of one component can be in one cycle.
func (g *graph) components(kinds edgeKind) []int {
	n := len(g.ops)
	var (
		index, low = make([]int, n), make([]int, n) // from 1; 0 is not yet visited
		component  = make([]int, n)                 // from 1; 0 is none yet
		stack      []int
		visited    int
		made       int
	)
	type frame struct{ node, edge int }
	for root := range n {
		if index[root] != 0 {
			continue
		}
		frames := []frame{{root, 0}}
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			v := f.node
			if f.edge == 0 && index[v] == 0 {
				visited++
				index[v], low[v] = visited, visited
				stack = append(stack, v)
			}
			deeper := false
			for ; f.edge < len(g.next[v]); f.edge++ {
				e := g.next[v][f.edge]
				switch {
				case e.kind&kinds == 0:
				case index[e.to] == 0:
					deeper = true
				case component[e.to] == 0:
					low[v] = min(low[v], low[e.to])
				}
				if deeper {
					// The same edge is looked at again when the deeper node is done:
					// its low is then known.
					frames = append(frames, frame{e.to, 0})
					break
				}
			}
			if deeper {
				continue
			}
			if low[v] == index[v] {
				made++
				for done := false; !done; {
					last := stack[len(stack)-1]
					stack = stack[:len(stack)-1]
					component[last], done = made, last == v
				}
			}
			frames = frames[:len(frames)-1]
		}
	}
	return component
}
