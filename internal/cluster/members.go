package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sheafdb/sheaf/internal/peer"
)

// Welcome is what a node that joins a cluster is told.
type Welcome struct {
	Cluster string `json:"cluster"`
	// ID is the node's number from here on.
	ID      uint64   `json:"id"`
	Groups  int      `json:"groups"`
	Store   string   `json:"store"`
	Members []Member `json:"members"`
	// Refused is why the node can never be a member as it is; nothing else is set then, and
	// nothing was written.
	Refused string `json:"refused,omitempty"`
}

// Wish is what a node that wants to join is: the cluster must be the same.
type Wish struct {
	Member
	Store string
	// Groups is how many it was told of, 0 if it takes any number.
	Groups int
}

// Update says who the members are, and who is leaving: a group still has replicas on those,
// and cannot drop them without a majority that may need them. Others are let in no longer, and
// what is on its way to them is lost. last is the largest number that was ever given.
func (b *Bridge) Update(last uint64, members, leaving []Member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = max(b.last, last)
	known := make(map[uint64]bool)
	byNumber := func(all []Member) map[uint64]Member {
		out := make(map[uint64]Member, len(all))
		for _, m := range all {
			out[m.ID] = m
			known[m.ID] = true
			if m.ID != b.self.ID {
				b.client.Know(m.ID, m.Name, m.Addr)
			}
		}
		return out
	}
	was := []map[uint64]Member{b.members, b.leaving}
	b.members, b.leaving = byNumber(members), byNumber(leaving)
	for _, before := range was {
		for id := range before {
			if !known[id] {
				b.client.Forget(id)
				b.server.Drop(id)
			}
		}
	}
}

// Members are those that the bridge knows, by number.
func (b *Bridge) Members() []Member {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Member
	for _, id := range slices.Sorted(maps.Keys(b.members)) {
		all = append(all, b.members[id])
	}
	return all
}

// seed is the number of a node that is asked before numbers are known.
const seed = 1 << 62

// Join asks a node of a cluster to make this one a member. name is that node's, as its
// certificate has it; empty where peers use no TLS. groups is how many it must have, 0 for any.
func (b *Bridge) Join(ctx context.Context, name, addr string, groups int) (w Welcome, err error) {
	b.client.Know(seed, name, addr)
	defer b.client.Forget(seed)
	b.mu.Lock()
	me := b.members[b.self.ID]
	b.mu.Unlock()
	request, err := json.Marshal(greeting{Self: me, Joins: true, Store: b.cfg.Store, Groups: groups})
	if err != nil {
		return w, err
	}
	answer, err := b.client.Meet(ctx, seed, request)
	if err == nil {
		err = json.Unmarshal(answer, &w)
	}
	return w, err
}

// Joined lets the bridge carry: this node is a member.
func (b *Bridge) Joined(w Welcome) {
	b.mu.Lock()
	b.self.Cluster, b.self.ID = w.Cluster, w.ID
	b.mu.Unlock()
	b.Update(0, w.Members, nil)
}

// welcome answers a node that wants to join.
func (b *Bridge) welcome(from peer.Identity, theirs greeting) ([]byte, error) {
	b.mu.Lock()
	cluster := b.self.Cluster
	b.mu.Unlock()
	switch {
	case cluster == "" || b.cfg.Admit == nil:
		return nil, errors.New("this node is not a member of a cluster itself, or not yet: if it is alone, start it with --node and --peer-addr first")
	case theirs.Self.Name == "" || theirs.Self.Addr == "" || theirs.Self.Disk == "" || theirs.Self.Name != from.Name || theirs.Self.Disk != from.Disk:
		return nil, fmt.Errorf("node %s does not say who it is", from.Name)
	}
	ctx, cancel := context.WithTimeout(b.ctx, joinTime)
	defer cancel()
	w, err := b.cfg.Admit(ctx, Wish{Member: theirs.Self, Store: theirs.Store, Groups: theirs.Groups})
	if err != nil {
		return nil, err
	}
	w.Cluster = cluster
	return json.Marshal(w)
}
