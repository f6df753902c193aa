package cluster

import (
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf/internal/peer"
)

// TestOnlyWhoWasMeantIsMet: at n2's address n3 answers, so n2 is still missing.
func TestOnlyWhoWasMeantIsMet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	members := []Member{{ID: 1, Name: "n1", Addr: "127.0.0.1:1"}, {ID: 2, Name: "n2", Addr: addr}, {ID: 3, Name: "n3", Addr: addr}}
	bridge := func(i int) *Bridge {
		own := append([]Member(nil), members...)
		own[i].Disk = "disk of " + own[i].Name
		b := NewBridge(Config{Self: peer.Identity{ID: own[i].ID, Name: own[i].Name, Disk: own[i].Disk}, Members: own, Logger: slog.New(slog.DiscardHandler)})
		t.Cleanup(b.Close)
		return b
	}
	one, three := bridge(0), bridge(2)
	go func() { _ = three.Server().Serve(l) }() // until Close
	missing, why := one.meetAll(t.Context())
	if missing != "n2" || !strings.Contains(why.Error(), "n3 answers at the address of n2") {
		t.Errorf("%q is missing: %v", missing, why)
	}
	if disk := one.members[3].Disk; disk != "disk of n3" {
		t.Errorf("n3 was met with disk %q", disk)
	}
}

func TestAllWhoAreMissingAreNamed(t *testing.T) {
	members := []Member{{ID: 1, Name: "n1", Addr: "127.0.0.1:1"}, {ID: 2, Name: "n2", Addr: "127.0.0.1:2"}, {ID: 3, Name: "n3", Addr: "127.0.0.1:3"}}
	b := NewBridge(Config{Self: peer.Identity{ID: 1, Name: "n1", Disk: "d1"}, Members: members, Logger: slog.New(slog.DiscardHandler)})
	defer b.Close()
	missing, why := b.meetAll(t.Context())
	if missing != "n2, n3" || !strings.HasPrefix(why.Error(), "n2: ") || !strings.Contains(why.Error(), "; n3: ") {
		t.Errorf("%q are missing: %v", missing, why)
	}
}

func TestANodeSaysWhoItIs(t *testing.T) {
	members := []Member{{ID: 1, Name: "n1", Addr: "127.0.0.1:1", Disk: "d1"}, {ID: 2, Name: "n2", Addr: "127.0.0.1:2"}}
	b := NewBridge(Config{Self: peer.Identity{ID: 1, Name: "n1", Disk: "d1"}, Members: members, Logger: slog.New(slog.DiscardHandler)})
	defer b.Close()
	request := b.greeting()
	request.Self = Member{ID: 2, Name: "n2", Addr: "127.0.0.1:2", Disk: "d2"}
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Meet(peer.Identity{ID: 2, Name: "n3", Disk: "d2"}, text); err == nil { // as its certificate says
		t.Error("n3 is taken for n2")
	}
	if _, err := b.Meet(peer.Identity{ID: 2, Name: "n2", Disk: "d2"}, text); err != nil {
		t.Error(err)
	}
}
