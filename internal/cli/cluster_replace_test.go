package cli

import (
	"strings"
	"testing"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// TestOnlyANewNodeReplaces: anything else would be a plain removal.
func TestOnlyANewNodeReplaces(t *testing.T) {
	c := &sheafv1.GetClusterResponse{Nodes: []*sheafv1.ClusterNode{
		{Id: 1, Name: "n1", First: true},
		{Id: 2, Name: "n2", First: true},
		{Id: 4, Name: "n4"},
		{Id: 5, Name: "n5"},
	}}
	for _, test := range []struct{ old, new, want string }{
		{"n1", "n1", "its own place"},
		{"n9", "n5", "n9 is no member"},
		{"n9", "n6", "n9 is no member"},
		{"n1", "n2", "n2 was a member before"},
		{"n1", "n4", "n4 was a member before"},
		{"n5", "n4", "n4 was a member before"},
		{"n1", "n5", ""},
		{"n1", "n6", ""},
	} {
		err := replaceable(c, test.old, test.new)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s by %s: %v, want %q", test.old, test.new, err, test.want)
		}
	}
	c.Nodes = c.Nodes[:2]
	if err := replaceable(c, "n1", "n2"); err == nil {
		t.Error("a first member takes another's place")
	}
}
