package cluster

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/peer"
	"github.com/sheafdb/sheaf/internal/wire"
)

func TestStrangersAreNotAdmitted(t *testing.T) {
	members := []Member{{ID: 1, Name: "n1", Addr: "127.0.0.1:1"}, {ID: 2, Name: "n2", Addr: "127.0.0.1:2"}}
	b := NewBridge(Config{Self: peer.Identity{ID: 1, Name: "n1", Disk: "d1"}, Members: members, Logger: slog.New(slog.DiscardHandler)})
	defer b.Close()
	good := peer.Identity{Cluster: "c", ID: 2, Name: "n2", Disk: "d2"}
	if err := b.Admit(good, 1); err == nil {
		t.Error("somebody is admitted before the cluster is formed")
	}
	members[0].Disk, members[1].Disk = "d1", "d2"
	b.Formed("c", members)
	if err := b.Admit(good, 1); err != nil {
		t.Errorf("a member is refused: %v", err)
	}
	for want, from := range map[string]peer.Identity{
		"belongs to cluster": {Cluster: "other", ID: 2, Name: "n2", Disk: "d2"},
		"has no node":        {Cluster: "c", ID: 3, Name: "n3", Disk: "d3"},
		"no node n3 (2)":     {Cluster: "c", ID: 2, Name: "n3", Disk: "d2"},
		"another disk":       {Cluster: "c", ID: 2, Name: "n2", Disk: "wiped"},
	} {
		if err := b.Admit(from, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", from, err, want)
		}
	}
	if err := b.Admit(good, 2); err == nil || !strings.Contains(err.Error(), "means node 2") {
		t.Errorf("a call for another node: %v", err)
	}
}

// TestWhatOtherNodesBringIsCounted, and refused when it does not fit, but for what ends a batch
// that was begun.
func TestWhatOtherNodesBringIsCounted(t *testing.T) {
	gate := admission.NewGate(1000)
	b := NewBridge(Config{Self: peer.Identity{ID: 1}, Gate: gate, Logger: slog.New(slog.DiscardHandler)})
	defer b.Close()
	entries, err := wire.ParseEntries(wire.AppendEntry(nil, &wire.Entry{Key: []byte("k"), Value: make([]byte, 600)}), sheaf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind wire.Kind
		held int64
		want sheaf.Code
	}{
		{wire.Fast, 0, sheaf.NotLeader}, // it went as far as the group, of which there is none here
		{wire.Fast, 600, sheaf.RateLimited},
		{wire.Bundle, 600, sheaf.RateLimited},
		{wire.Prepare, 600, sheaf.RateLimited},
		{wire.Tick, 1000, sheaf.NotLeader},
	} {
		gate.Hold(c.held)
		cmd := &wire.Command{Kind: c.kind}
		if c.kind != wire.Tick {
			cmd.Entries = entries
		}
		answer, err := b.Call(t.Context(), 2, bytes.Join(encodeCall(1, []*wire.Command{cmd}), nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := decodeReply(answer); !errors.Is(err, c.want) {
			t.Errorf("kind %d, %d bytes in flight: %v, want %v", c.kind, c.held, err, c.want)
		}
		gate.Release(c.held)
		if now, _ := gate.InFlight(); now != 0 {
			t.Errorf("kind %d: %d bytes stay counted", c.kind, now)
		}
	}
}

func TestParseNumbersMembersByName(t *testing.T) {
	members, err := Parse("n2=b:2, n1=a:1")
	if err != nil || len(members) != 2 || members[0] != (Member{ID: 1, Name: "n1", Addr: "a:1"}) || members[1].ID != 2 {
		t.Errorf("%+v, %v", members, err)
	}
	for _, bad := range []string{"", "n1", "n1=", "=a:1", "n1=a:1,n1=b:2", "n1=a:1,n2=a:1", "n 1=a:1"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
