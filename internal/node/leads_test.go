package node

import "testing"

func TestExactlyOneNodeSaysThatItLeads(t *testing.T) {
	tr := newTrio(t, "memory", 0)
	tr.put(0, "a", "1") // somebody leads
	leaders := 0
	for i, n := range tr.nodes {
		groups := n.sample().Groups
		if len(groups) != 1 || groups[0].ID != 1 {
			t.Fatalf("node %d has the groups %v", i+1, groups)
		}
		if groups[0].Leads {
			leaders++
		}
	}
	if leaders != 1 {
		t.Errorf("%d nodes say that they lead", leaders)
	}
}
