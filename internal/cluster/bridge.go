package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/peer"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Member is one node of a cluster.
type Member = wire.Member

// Config is what a bridge needs.
type Config struct {
	// Self has this node's number, name and disk; and the cluster, once it is formed.
	Self peer.Identity
	// Members are all nodes, this one among them.
	Members []Member
	// Answer answers what another node asks this one.
	Answer func(ctx context.Context, request []byte) ([]byte, error)
	// Gate counts the bytes of the commands that other nodes bring.
	Gate *admission.Gate
	// Admit makes a node that asks for it a member of the cluster, or says why that cannot be.
	Admit func(ctx context.Context, w Wish) (Welcome, error)
	// Store is the kind of this node's store.
	Store string
	// Foreign, if not nil, is told of a member of another cluster that takes this node for one
	// of its own.
	Foreign func(from peer.Identity)
	// Groups is how many groups the cluster has.
	Groups int
	// TLS is for both ends; nil for plain text.
	ServerTLS, ClientTLS *tls.Config
	FS                   vfs.FS
	Logger               *slog.Logger
}

// Bridge joins a node's groups to those of the other nodes. It is the peer.Handler of its
// node.
type Bridge struct {
	cfg    Config
	client *peer.Client
	server *peer.Server

	mu      sync.Mutex
	self    peer.Identity
	members map[uint64]Member
	// leaving are no members any more, but some group still has their replicas.
	leaving map[uint64]Member
	// last is the largest number that was given, as far as this node knows.
	last uint64
	// groups are set while they run.
	groups map[uint64]*replicaHere
	// sending are states on their way out.
	sending sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc
}

// replicaHere is a group's replica on this node.
type replicaHere struct {
	group *group.Group
	place group.Place
}

// NewBridge returns a bridge that knows all members and carries nothing yet.
func NewBridge(cfg Config) *Bridge {
	b := &Bridge{cfg: cfg, self: cfg.Self, members: make(map[uint64]Member), groups: make(map[uint64]*replicaHere)}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.client = peer.NewClient(b.identity, cfg.ClientTLS, b.lost, cfg.Logger)
	b.server = peer.NewServer(b, cfg.ServerTLS, cfg.Logger)
	for _, m := range cfg.Members {
		b.members[m.ID] = m
		if m.ID != cfg.Self.ID {
			b.client.Know(m.ID, m.Name, m.Addr)
		}
	}
	return b
}

// Server is what listens for the other nodes.
func (b *Bridge) Server() *peer.Server { return b.server }

// Close ends everything that is on its way.
func (b *Bridge) Close() {
	b.stop()
	b.sending.Wait()
	b.server.Stop()
	b.client.Close()
}

// Attach lets a group's replica take part. Until then, and after Detach, messages for it are
// dropped.
func (b *Bridge) Attach(id uint64, g *group.Group, place group.Place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.groups[id] = &replicaHere{g, place}
}

// Detach ends the part of a group's replica.
func (b *Bridge) Detach(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.groups, id)
}

func (b *Bridge) replica(id uint64) *replicaHere {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.groups[id]
}

func (b *Bridge) identity() peer.Identity {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.self
}

// is says whether a number is that of this node, which a node that joins is given later.
func (b *Bridge) is(id uint64) bool { return b.identity().ID == id }

// Name is this node's.
func (b *Bridge) Name() string { return b.identity().Name }

// Sender is the Send of a group.
func (b *Bridge) Sender(id uint64) func([]*pb.Message) {
	return func(messages []*pb.Message) { b.send(id, messages) }
}

// frameBytes is the size from which a frame is sent, and another begun. A message may make
// it larger by a log entry.
const frameBytes = 64 << 20

// send makes one frame for each node and lane, if they are not large.
func (b *Bridge) send(id uint64, messages []*pb.Message) {
	type way struct {
		to   uint64
		lane peer.Lane
	}
	frames := make(map[way]*frame, 2)
	var order []way
	for _, m := range messages {
		w := way{m.GetTo(), peer.Urgent}
		switch m.GetType() {
		case pb.MsgSnap:
			b.sending.Go(func() { b.sendState(id, m) })
			continue
		case pb.MsgApp: // they arrive in order
			w.lane = peer.Bulk
		default:
		}
		f := frames[w]
		if f == nil {
			f = &frame{}
			frames[w] = f
			order = append(order, w)
		}
		if err := f.add(id, m); err != nil {
			b.cfg.Logger.Error("message of a replica cannot be encoded", "group", id, "err", err)
		}
		if f.size >= frameBytes {
			b.client.Send(w.to, w.lane, f.finish())
		}
	}
	for _, w := range order {
		if parts := frames[w].finish(); len(parts) > 0 {
			b.client.Send(w.to, w.lane, parts)
		}
	}
}

// lost tells the groups that a node does not hear them.
func (b *Bridge) lost(to uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.groups {
		r.group.Unreachable(to)
	}
}

// Admit is part of peer.Handler.
func (b *Bridge) Admit(from peer.Identity, to uint64) error {
	if own := b.identity().Cluster; own != "" && from.Cluster != "" && from.Cluster != own && b.cfg.Foreign != nil {
		b.cfg.Foreign(from)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.members[from.ID]
	if !ok {
		known, ok = b.leaving[from.ID]
	}
	switch {
	case b.self.Cluster == "":
		return &peer.RefusedError{Code: peer.CodeForming, Detail: fmt.Sprintf("node %s is still meeting the others", b.self)}
	case from.Cluster != b.self.Cluster:
		return fmt.Errorf("node %s belongs to cluster %s, and the caller %s to %q: one of them has the wrong address", b.self, b.self.Cluster, from, from.Cluster)
	case to != b.self.ID:
		return fmt.Errorf("this is node %s, and the caller %s means node %d: its address for that one is wrong", b.self, from, to)
	case !ok && from.ID <= b.last:
		return &peer.RefusedError{Code: peer.CodeRemoved, Detail: fmt.Sprintf("node %s was removed from cluster %s: stop it, and empty its data directory before it joins again", from, b.self.Cluster)}
	case !ok || known.Name != from.Name:
		return fmt.Errorf("cluster %s has no node %s: it was removed, or never joined", b.self.Cluster, from)
	case known.Disk != from.Disk:
		return fmt.Errorf("node %s has another disk than the one that the cluster knows: what it promised before is lost, so it must be replaced under a new number", from)
	}
	return nil
}

// Frame is part of peer.Handler.
func (b *Bridge) Frame(from uint64, frame []byte) {
	byGroup := make(map[uint64][]*pb.Message, 1)
	err := eachMessage(frame, func(id uint64, m *pb.Message) {
		if m.GetFrom() == from && m.GetType() != pb.MsgSnap { // a state comes by another way
			byGroup[id] = append(byGroup[id], m)
		}
	})
	if err != nil {
		b.cfg.Logger.Error("node sent what cannot be read", "node", from, "err", err)
		return
	}
	for id, messages := range byGroup {
		if r := b.replica(id); r != nil {
			r.group.Receive(messages)
		}
	}
}

// question marks a call that is for the node and not for a group.
const question = 0

// Ask asks another node something that its Config.Answer understands.
func (b *Bridge) Ask(ctx context.Context, node uint64, request []byte) ([]byte, error) {
	return b.client.Call(ctx, node, append([]byte{question}, request...))
}

// Call is part of peer.Handler: another node brings commands to the leader that this one is
// thought to be, or asks this node something.
func (b *Bridge) Call(ctx context.Context, _ uint64, request []byte) ([]byte, error) {
	if len(request) > 0 && request[0] == question {
		return b.cfg.Answer(ctx, request[1:])
	}
	id, commands, err := decodeCall(request)
	if err != nil {
		return nil, err
	}
	if err := b.count(commands, int64(len(request))); err != nil {
		return encodeReply(nil, group.Timing{}, err)
	}
	defer b.cfg.Gate.Release(int64(len(request)))
	r := b.replica(id)
	if r == nil {
		return encodeReply(nil, group.Timing{}, sheaf.Errorf(sheaf.NotLeader, "this node does not run group %d", id))
	}
	if len(commands) == 1 {
		result, timing, err := r.group.Propose(ctx, commands[0])
		return encodeReply([]apply.Result{result}, timing, err)
	}
	results, err := r.group.ProposeAll(ctx, commands, nil)
	return encodeReply(results, group.Timing{}, err)
}

// count counts the bytes of a call as in flight, as they were at the node that was asked. What
// ends a batch that was begun is taken whether it fits or not.
func (b *Bridge) count(commands []*wire.Command, size int64) error {
	for _, cmd := range commands {
		if cmd.Kind == wire.Fast || cmd.Kind == wire.Prepare || cmd.Kind == wire.Bundle {
			return b.cfg.Gate.Reserve(size)
		}
	}
	b.cfg.Gate.Hold(size)
	return nil
}

// A call is the group and then the commands, each with its length (uvarints).
func encodeCall(id uint64, commands []*wire.Command) [][]byte {
	var f frame
	f.head = appendUvarint(f.head, id)
	for _, cmd := range commands {
		header := cmd.AppendHeader(nil)
		f.head = appendUvarint(f.head, uint64(len(header)+len(cmd.Entries.Raw())))
		f.head = append(f.head, header...)
		f.data(cmd.Entries.Raw())
	}
	return f.finish()
}

func decodeCall(data []byte) (id uint64, commands []*wire.Command, err error) {
	r := reader{data: data}
	id = r.uvarint()
	for r.err == nil && len(r.data) > 0 {
		one := r.bytes(r.uvarint())
		if r.err != nil {
			break
		}
		cmd, err := wire.DecodeCommand(one)
		if err != nil {
			return 0, nil, err
		}
		commands = append(commands, &cmd)
	}
	if r.err == nil && len(commands) == 0 {
		r.err = errors.New("no command")
	}
	return id, commands, r.err
}
