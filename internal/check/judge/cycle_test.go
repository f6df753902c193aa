package judge

import (
	"math/rand/v2"
	"testing"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// TestComponentsAreWhatCanBeReachedBothWays compares with the definition, on random graphs.
func TestComponentsAreWhatCanBeReachedBothWays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		n := 1 + rng.IntN(12)
		g := randomGraph(rng, n, rng.IntN(3*n))
		kinds := edgeKind(1 + rng.IntN(15))
		component := g.components(kinds)
		var reach [12][12]bool
		for i := range n {
			reach[i][i] = true
			for _, e := range g.next[i] {
				reach[i][e.to] = reach[i][e.to] || e.kind&kinds != 0
			}
		}
		for k := range n {
			for i := range n {
				for j := range n {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		cyclic := false
		for i := range n {
			for j := range n {
				both := reach[i][j] && reach[j][i]
				cyclic = cyclic || both && i != j
				if both != (component[i] == component[j]) {
					t.Fatalf("nodes %d and %d of %v: components %v", i, j, g.next, component)
				}
			}
		}
		c, found := g.cycle(kinds)
		if found != cyclic {
			t.Fatalf("a cycle of %v was found: %v, and there is one: %v", g.next, found, cyclic)
		}
		if found {
			mustBeACycle(t, g, c, kinds)
		}
	}
}

func randomGraph(rng *rand.Rand, nodes, edges int) *graph {
	g := &graph{ops: make([]*history.Op, nodes), next: make([][]edge, nodes)}
	for range edges {
		from, to := rng.IntN(nodes), rng.IntN(nodes)
		if from != to {
			g.next[from] = append(g.next[from], edge{to, edgeKind(1 << rng.IntN(4)), ""})
		}
	}
	return g
}

func mustBeACycle(t *testing.T, g *graph, c cycle, kinds edgeKind) {
	t.Helper()
	at := c.from
	for _, e := range c.edges {
		is := false
		for _, have := range g.next[at] {
			is = is || have == e && e.kind&kinds != 0
		}
		if !is {
			t.Fatalf("%v is no way through %v", c, g.next)
		}
		at = e.to
	}
	if at != c.from {
		t.Fatalf("%v does not come back", c)
	}
}

// TestTimeIsInTheGraph compares what can be reached by realtime edges with who was answered
// before who began.
func TestTimeIsInTheGraph(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 300 {
		g := &graph{}
		number := make(map[*history.Op]int)
		for i := range 1 + rng.IntN(12) {
			start := rng.Int64N(40)
			op := &history.Op{StartNS: start, EndNS: start + rng.Int64N(15)}
			if rng.IntN(10) == 0 {
				op.EndNS = history.Forever
			}
			g.ops, number[op] = append(g.ops, op), i
		}
		n := len(g.ops)
		var reach [12][12]bool
		g.time(func(from, to *history.Op, _ edgeKind, _ string) {
			reach[number[from]][number[to]] = true
		})
		for k := range n {
			for i := range n {
				for j := range n {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		for i, a := range g.ops {
			for j, b := range g.ops {
				if want := a.EndNS < b.StartNS; reach[i][j] != want {
					t.Fatalf("from %d-%d to %d-%d: %v", a.StartNS, a.EndNS, b.StartNS, b.EndNS, reach[i][j])
				}
			}
		}
	}
}
