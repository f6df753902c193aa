package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wal"
)

// TestDamageHasOneAdvice: a member is told to be replaced, and only a node alone to restore.
func TestDamageHasOneAdvice(t *testing.T) {
	two := []cluster.Member{{ID: 1, Name: "n1"}, {ID: 2, Name: "n2"}}
	const replace, restore = "sheaf cluster replace n1 NEW", "sheaf restore"
	for _, test := range []struct {
		name      string
		node      *Node
		says, not string
	}{
		{"a node alone", &Node{dir: &dataDir{identity: identity{ID: 1}}}, restore, "replace"},
		{"a cluster of one", &Node{dir: &dataDir{identity: identity{ID: 1, Cluster: "c", Members: two[:1]}}}, restore, "replace"},
		{"one that is left", &Node{dir: &dataDir{identity: identity{ID: 1, Cluster: "c", Members: two, Known: two[:1]}}}, restore, "replace"},
		{"one that others joined", &Node{dir: &dataDir{identity: identity{ID: 1, Cluster: "c", Members: two[:1], Known: two}}}, replace, "restore"},
		{"a first member", &Node{dir: &dataDir{identity: identity{ID: 1, Cluster: "c", Members: two}}}, replace, "restore"},
		{"one that cannot tell", &Node{}, restore, "n1"},
	} {
		for _, damage := range []error{&wal.CorruptError{File: "f", Reason: "cut"}, store.Corruptf("f", "cut")} {
			err := test.node.advise(damage)
			if !errors.Is(err, damage) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), test.not) {
				t.Errorf("%s: %v", test.name, err)
			}
		}
	}
	other := errors.New("other")
	if err := (&Node{}).advise(other); err != other { //nolint:errorlint // nothing may be around it
		t.Errorf("%v", err)
	}
}
