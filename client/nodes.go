package client

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf/internal/router"
)

// nodes are the nodes of one cluster that a Client knows, each with a connection.
//
// Any node takes any call, so a Client stays with one until that refuses for what another may
// not, or is not there: then it goes on with the next. A write that the node had to take to
// another, because that leads the group of its keys, says so in its answer; the next of that
// group goes to the next node, until one leads. Nobody needs to be told where leaders are.
type nodes struct {
	all []node
	// groups is how many groups the cluster has, as far as it has been told; 0 is unknown.
	groups atomic.Int32
	// routes say which node the calls of a group go to; the first is for what is in
	// several groups, or in one that is not known.
	routes [router.MaxGroups + 1]route
}

// node is one node and the connection to it.
type node struct {
	addr   string
	conn   *grpc.ClientConn
	secure *handshake // nil on plain text
}

// route is where the calls of a group go.
type route struct {
	at atomic.Uint32 // a place in nodes.all
	// looked counts the moves in search of the leader, and since is when the search began, in
	// nanoseconds: a search that led nowhere begins anew after lookEvery.
	looked atomic.Uint32
	since  atomic.Int64
}

// lookEvery is how often a leader is looked for that no node admits to be.
const lookEvery = 5 * time.Second

// maxNodes bounds the addresses of a Client.
const maxNodes = 32

// splitAddrs reads "host:port" or several with commas between.
func splitAddrs(text string) ([]string, error) {
	addrs := strings.Split(text, ",")
	if len(addrs) > maxNodes {
		return nil, fmt.Errorf("%d addresses, where at most %d are allowed", len(addrs), maxNodes)
	}
	for i := range addrs {
		addrs[i] = strings.TrimSpace(addrs[i])
	}
	return addrs, nil
}

func (n *nodes) close() error {
	var errs []error
	for _, one := range n.all {
		errs = append(errs, one.conn.Close())
	}
	return errors.Join(errs...)
}

// routeOf is the number of the route for a set of keys.
func (n *nodes) routeOf(keys func(yield func(key []byte) bool)) int {
	groups := n.groups.Load()
	if groups < 2 || len(n.all) < 2 {
		return 0
	}
	table, group := router.Equal(int(groups)), uint64(0)
	for key := range keys {
		switch g := table.GroupOf(key); {
		case group == 0:
			group = g
		case g != group:
			return 0
		}
	}
	return int(group)
}

// groupOf is the number of a key's group, 0 if that is not known.
func (n *nodes) groupOf(key []byte) int {
	groups := n.groups.Load()
	if groups < 2 {
		return 0
	}
	return int(router.Equal(int(groups)).GroupOf(key))
}

// pick returns the node for an attempt, and its place.
func (n *nodes) pick(route int) (*node, uint32) {
	at := n.routes[route].at.Load() % uint32(len(n.all))
	return &n.all[at], at
}

// behind returns the node after the one at that place.
func (n *nodes) behind(at uint32) *node { return &n.all[(at+1)%uint32(len(n.all))] }

// leave goes on with the next node, unless somebody has done that since at was picked.
func (n *nodes) leave(route int, at uint32) {
	n.routes[route].at.CompareAndSwap(at, (at+1)%uint32(len(n.all)))
}

// routeKey is the trailer of a write that says how many groups there are, and whether the
// node had to take it to another: "4" or "4 forwarded".
const routeKey = "sheaf-route"

// learn takes what an answer says of its route, which a read's does not but for the number of
// groups.
func (n *nodes) learn(number int, at uint32, trailer metadata.MD, write bool) {
	said := trailer.Get(routeKey)
	if len(said) != 1 {
		return
	}
	var groups int32
	count, forwarded := strings.CutSuffix(said[0], " forwarded")
	if _, err := fmt.Sscan(count, &groups); err != nil || groups < 1 || groups > router.MaxGroups {
		return
	}
	n.groups.Store(groups)
	if !write || len(n.all) < 2 {
		return
	}
	r := &n.routes[number]
	now := time.Now().UnixNano()
	switch {
	case !forwarded:
		r.looked.Store(0)
	case number == 0 && groups > 1: // of several groups nobody leads all
	case r.looked.Load() < uint32(len(n.all)):
		if r.looked.Add(1) == 1 {
			r.since.Store(now)
		}
		n.leave(number, at)
	case now-r.since.Load() > int64(lookEvery):
		r.looked.Store(0)
	}
}
