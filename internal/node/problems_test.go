package node

import (
	"slices"
	"strings"
	"testing"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/peer"
	"github.com/sheafdb/sheaf/internal/replica"
)

func TestANodeThatListensElsewhereIsTold(t *testing.T) {
	for _, test := range []struct {
		listens string
		want    bool
	}{
		{"", false},
		{"10.0.0.1:7453", false},
		{":7453", false},
		{"0.0.0.0:7453", false},
		{"10.0.0.2:7453", true},
		{"10.0.0.1:7454", true},
		{":7454", true},
		{"n1.example:7453", true},
	} {
		if got := movedFrom("10.0.0.1:7453", test.listens); got != test.want {
			t.Errorf("%q: %v", test.listens, got)
		}
	}
}

// TestProblemsAreAllNamedAndInOrder: a voter that its leader does not hear is one, and said once.
func TestProblemsAreAllNamedAndInOrder(t *testing.T) {
	c := &sheafv1.GetClusterResponse{}
	for id, name := range []string{"n1", "n2", "n3", "n4", "n5", "n6"} {
		c.Nodes = append(c.Nodes, &sheafv1.ClusterNode{Id: uint64(id + 1), Name: name, State: stateServing})
	}
	c.Nodes[2].Error = "no route"
	c.Groups = []*sheafv1.ClusterGroup{{Group: 1, Leader: 1, Replicas: []*sheafv1.ClusterReplica{
		{Node: 1, Voter: true, Active: true}, {Node: 2, Voter: true}, {Node: 3, Voter: true},
	}}}
	want := []string{
		"n3 does not answer", "group 1 on n2 is not heard of by n1",
		"no replica on n4", "no replica on n5", "no replica on n6",
	}
	for range 20 { // a map's order would be another some time
		got := problems(c)
		if !slices.EqualFunc(got, want, strings.Contains) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

// TestADeadMajorityIsNotReplaced: that would take a majority.
func TestADeadMajorityIsNotReplaced(t *testing.T) {
	c := &sheafv1.GetClusterResponse{
		Nodes: []*sheafv1.ClusterNode{
			{Id: 1, Name: "n1", State: stateServing},
			{Id: 2, Name: "n2", Error: "connection refused"},
			{Id: 3, Name: "n3", Error: "connection refused"},
		},
		Groups: []*sheafv1.ClusterGroup{{Group: 1}},
	}
	got := problems(c)
	if want := []string{"n2 does not answer (connection refused): start it.", "n3 does not answer", "A majority lost for good"}; !slices.EqualFunc(got, want, strings.Contains) {
		t.Errorf("%q, want %q", got, want)
	}
	if strings.Contains(strings.Join(got, " "), "sheaf cluster replace") {
		t.Errorf("a replacement is advised: %q", got)
	}
}

// TestAMemberThatFormsAgainIsReplaced: it runs, and starting it helps nothing.
func TestAMemberThatFormsAgainIsReplaced(t *testing.T) {
	members := []cluster.Member{{ID: 1, Name: "n1"}, {ID: 2, Name: "n2"}}
	refused := &peer.RefusedError{Code: peer.CodeForming, Detail: "node n2 is still meeting the others"}
	leads := replica.Report{Status: replica.Status{ID: 1, Term: 1, Leading: true}, Others: []replica.Progress{{ID: 1, Active: true}, {ID: 2}}}
	c := overview("c", 1, members, []summary{{State: stateServing, Groups: []replica.Report{leads}}, {}}, []error{nil, refused})
	if c.GetNodes()[1].GetState() != stateForming {
		t.Errorf("its state is %q", c.GetNodes()[1].GetState())
	}
	if want := []string{"n2 runs without its data"}; !slices.EqualFunc(c.GetProblems(), want, strings.Contains) {
		t.Errorf("%q, want %q", c.GetProblems(), want)
	}
	if strings.Contains(strings.Join(c.GetProblems(), " "), "start it") {
		t.Errorf("it is to be started: %q", c.GetProblems())
	}
}
