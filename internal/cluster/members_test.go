package cluster

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/sheafdb/sheaf/internal/peer"
)

// joining returns the bridge of a node that has no number yet.
func joining(t *testing.T) *Bridge {
	t.Helper()
	me := Member{Name: "n4", Addr: "127.0.0.1:1", Disk: "d4"}
	b := NewBridge(Config{Self: peer.Identity{Name: me.Name, Disk: me.Disk}, Members: []Member{me}, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(b.Close)
	return b
}

// TestANodeThatJoinedKnowsItself: a command for the leader that it is does not go out to the
// network.
func TestANodeThatJoinedKnowsItself(t *testing.T) {
	b := joining(t)
	b.Joined(Welcome{Cluster: "c", ID: 4, Groups: 1, Members: []Member{{ID: 4, Name: "n4", Addr: "127.0.0.1:1", Disk: "d4"}}})
	if !b.is(4) || b.is(0) {
		t.Errorf("it takes itself for node %d", b.identity().ID)
	}
}

// TestANodeThatLeavesIsAdmittedAndNoMember until it is left out.
func TestANodeThatLeavesIsAdmittedAndNoMember(t *testing.T) {
	b := joining(t)
	stays := Member{ID: 4, Name: "n4", Addr: "127.0.0.1:1", Disk: "d4"}
	leaves := Member{ID: 2, Name: "n2", Addr: "127.0.0.1:2", Disk: "d2"}
	b.Joined(Welcome{Cluster: "c", ID: 4, Groups: 1, Members: []Member{stays, leaves}})
	from := peer.Identity{Cluster: "c", ID: 2, Name: "n2", Disk: "d2"}
	b.Update(4, []Member{stays}, []Member{leaves})
	if err := b.Admit(from, 4); err != nil || len(b.Members()) != 1 {
		t.Errorf("a node that leaves: %v; the members are %v", err, b.Members())
	}
	b.Update(4, []Member{stays}, nil)
	var refused *peer.RefusedError
	if err := b.Admit(from, 4); !errors.As(err, &refused) || refused.Code != peer.CodeRemoved {
		t.Errorf("a node that has left is told %v", err)
	}
	from.ID, from.Name = 5, "n5" // which may have joined without this node having heard of it
	if err := b.Admit(from, 4); err == nil || errors.As(err, &refused) {
		t.Errorf("a node that may yet be a member is told %v", err)
	}
}
