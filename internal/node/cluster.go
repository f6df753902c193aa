package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/peer"
)

// tailBytes is how much of the newest log entries stays in memory for nodes that are a
// little behind: divided by the groups, but of each at least leastTailBytes.
const (
	tailBytes      = 64 << 20
	leastTailBytes = 4 << 20
	// tailMostBytes is how much does while a node catches up from a state, divided likewise. A
	// state travels with at most 128 MiB/s: one of 10 GiB may be followed by 6 MiB of batches a
	// second.
	tailMostBytes      = 512 << 20
	leastTailMostBytes = 64 << 20
)

// receiveBytes is how much may wait that the leaders of the node's groups have sent, divided by
// the groups too.
const (
	receiveBytes      = 256 << 20
	leastReceiveBytes = 32 << 20
)

// groupsOf settles how many groups there are: a new node is told, another knows.
func (n *Node) groupsOf() error {
	id := &n.dir.identity
	switch {
	case n.dir.fresh:
		id.Groups = max(n.cfg.Groups, 1)
	case n.cfg.Groups != 0 && n.cfg.Groups != id.Groups:
		return fmt.Errorf("the data directory %s was made with %d groups, not %d: start without --groups, or choose another --data-dir", n.dir.path, id.Groups, n.cfg.Groups)
	}
	return nil
}

// join makes the node part of its cluster: a new one is formed with the others, one that it
// belongs to is found in the data directory.
func (n *Node) join(ctx context.Context) error {
	if err := n.groupsOf(); err != nil {
		return err
	}
	id := &n.dir.identity
	var members []cluster.Member
	if n.cfg.Cluster != "" {
		var err error
		if members, err = cluster.Parse(n.cfg.Cluster); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	switch {
	case n.dir.fresh && n.cfg.Join != "":
		return n.joinCluster(ctx)
	case n.dir.fresh && members != nil:
		return n.form(ctx, members)
	case id.Cluster == "" && members != nil:
		return fmt.Errorf("the data directory %s is that of a node alone: start it with --node and --peer-addr only, and have the others join it", n.dir.path)
	case id.Cluster == "" && n.cfg.Node != "":
		return n.beOne(ctx)
	case id.Cluster == "":
		return nil // a node alone that nobody can join
	case id.Known != nil && !slices.ContainsFunc(id.Known, n.isSelf):
		return fmt.Errorf("the data directory %s is that of a node that was removed from its cluster: empty it to join again, under a new number", n.dir.path)
	case members != nil && !sameMembers(members, id.Members):
		return fmt.Errorf("the data directory %s belongs to a cluster that began with other members: start without --cluster, or choose another --data-dir", n.dir.path)
	case n.cfg.Node != "" && n.cfg.Node != id.self().Name:
		return fmt.Errorf("the data directory %s is that of node %s, not of %s: choose another --data-dir", n.dir.path, id.self().Name, n.cfg.Node)
	}
	known := id.Known
	if known == nil {
		known = id.Members
	}
	if err := n.connect(known); err != nil {
		return err
	}
	n.bridge.Formed(id.Cluster, known)
	if own := id.self().Addr; movedFrom(own, n.cfg.PeerAddr) {
		n.opts.Logger.Warn("the other members reach this node at another address than it listens on: an address is that of the beginning, so replace the node to change it",
			"known", own, "peer_addr", n.cfg.PeerAddr)
	}
	return nil
}

// movedFrom says whether nobody will find a node at what it is told to listen on. An address of
// all interfaces may be the known one too.
func movedFrom(known, listens string) bool {
	if listens == "" || listens == known {
		return false
	}
	host, port, err := net.SplitHostPort(listens)
	_, knownPort, knownErr := net.SplitHostPort(known)
	if err != nil || knownErr != nil {
		return true
	}
	ip := net.ParseIP(host)
	return port != knownPort || host != "" && (ip == nil || !ip.IsUnspecified())
}

// beOne makes a node that is alone a cluster of one, which others can join.
func (n *Node) beOne(ctx context.Context) error {
	id := &n.dir.identity
	n.begins.Store(n.dir.fresh)
	addr := cmp.Or(n.cfg.PeerAddr, defaultPeerAddr)
	me := cluster.Member{ID: id.ID, Name: n.cfg.Node, Addr: addr, Disk: id.NodeID}
	id.Members = []cluster.Member{me}
	id.Cluster = cluster.NameOf(id.Members, id.Groups)
	if err := n.connect(id.Members); err != nil {
		return err
	}
	n.bridge.Formed(id.Cluster, id.Members)
	if n.dir.fresh {
		return n.listenFirst(ctx) // the identity is written when the log is there
	}
	return n.dir.writeIdentity()
}

// name is what its cluster calls the node; one that nobody can join has none.
func (n *Node) name() string {
	if n.bridge == nil {
		return ""
	}
	return n.bridge.Name()
}

// defaultPeerAddr is where other nodes reach one that was not told.
const defaultPeerAddr = "127.0.0.1:7453"

// cutName splits name=host:port.
func cutName(text string) (name, addr string, named bool) { return strings.Cut(text, "=") }

func sameMembers(given, own []cluster.Member) bool {
	if len(given) != len(own) {
		return false
	}
	for i, m := range given {
		if m.ID != own[i].ID || m.Name != own[i].Name || m.Addr != own[i].Addr {
			return false
		}
	}
	return true
}

// form meets the other nodes of a new cluster.
func (n *Node) form(ctx context.Context, members []cluster.Member) error {
	id := &n.dir.identity
	id.ID = 0
	for _, m := range members {
		if m.Name == n.cfg.Node {
			id.ID = m.ID
		}
	}
	if id.ID == 0 {
		return fmt.Errorf("cluster: it does not name this node, %q", n.cfg.Node)
	}
	if err := n.dir.forming(); err != nil {
		return err
	}
	id.Members = members
	if err := n.connect(members); err != nil {
		return err
	}
	n.setState(stateForming)
	n.opts.Logger.Info("meeting the other nodes of a new cluster", "node", n.cfg.Node, "cluster", n.cfg.Cluster)
	name, met, err := n.bridge.Form(ctx, func(names string, why error) {
		n.waitsFor.Store(&names)
		n.opts.Logger.Warn("still waiting for nodes of the new cluster", "nodes", names, "err", why)
	})
	if err != nil {
		return err
	}
	n.setState(stateRecovering)
	id.Cluster, id.Members = name, met
	// Before anybody is promised anything, and before the others may count on it.
	n.bridge.Formed(name, met)
	n.opts.Logger.Info("cluster formed", "cluster", name)
	return nil
}

// connect listens for the other nodes and knows where they are.
func (n *Node) connect(members []cluster.Member) error {
	id := &n.dir.identity
	at := slices.IndexFunc(members, func(m cluster.Member) bool { return m.ID == id.ID })
	if at < 0 {
		return fmt.Errorf("the data directory %s does not say which member the node is", n.dir.path)
	}
	addr := cmp.Or(n.cfg.PeerAddr, members[at].Addr)
	serverTLS, clientTLS, err := loadPeerTLS(n.cfg.PeerTLS)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return &PortError{addr, "--peer-addr", err}
	}
	n.ports.peer = listener
	n.bridge = cluster.NewBridge(cluster.Config{
		Self:    peer.Identity{ID: id.ID, Name: members[at].Name, Disk: id.NodeID},
		Members: members, Groups: id.Groups, Gate: n.gate, Admit: n.admit, Store: n.cfg.Store, Answer: n.answer, Foreign: n.foreign, ServerTLS: serverTLS, ClientTLS: clientTLS, FS: n.opts.FS, Logger: n.opts.Logger,
	})
	n.run("peer", func() error { return n.bridge.Server().Serve(listener) })
	return nil
}

// loadPeerTLS returns what both ends of a connection between nodes use; nil is plain text.
func loadPeerTLS(files config.PeerTLS) (server, client *tls.Config, err error) {
	if files.Cert == "" {
		return nil, nil, nil
	}
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("load the node's certificate %s and key %s: %w", files.Cert, files.Key, err)
	}
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		return nil, nil, fmt.Errorf("read the nodes' CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, errors.New("the nodes' CA " + files.CA + " holds no PEM certificate")
	}
	both := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, RootCAs: pool,
	}
	return both, both, nil
}

// voters are the first replicas of the node's groups.
func (n *Node) voters() []uint64 {
	if len(n.dir.identity.Members) == 0 {
		return []uint64{n.dir.identity.ID}
	}
	var ids []uint64
	for _, m := range n.dir.identity.Members {
		ids = append(ids, m.ID)
	}
	return ids
}

func (n *Node) tailBytes() int64 {
	if n.bridge == nil {
		return 0
	}
	if n.opts.TailBytes > 0 {
		return n.opts.TailBytes
	}
	return max(tailBytes/int64(n.dir.identity.Groups), leastTailBytes)
}

func (n *Node) tailMostBytes() int64 {
	if n.bridge == nil {
		return 0
	}
	if n.opts.TailBytes > 0 {
		return n.opts.TailBytes
	}
	return max(tailMostBytes/int64(n.dir.identity.Groups), leastTailMostBytes)
}

func (n *Node) receiveBytes() int64 {
	return max(receiveBytes/int64(n.dir.identity.Groups), leastReceiveBytes)
}

// sender is how a group reaches its other replicas; nil when it has none.
func (n *Node) sender(group uint64) func([]*pb.Message) {
	if n.bridge == nil {
		return nil
	}
	return n.bridge.Sender(group)
}

// reached are the groups as the coordinator sees them.
func (n *Node) reached() (groups []coordinator.Group) {
	for _, h := range n.hosted {
		if n.bridge == nil {
			groups = append(groups, h.group)
			continue
		}
		n.bridge.Attach(h.id, h.group, h.place)
		groups = append(groups, cluster.NewGroup(h.id, h.group, n.bridge))
	}
	return groups
}
