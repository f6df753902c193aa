package client

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/router"
)

// member is a node of a cluster that leads the groups it is told to.
type member struct {
	sheafv1.UnimplementedKVServiceServer
	server *grpc.Server
	addr   string
	groups int
	leads  func(group uint64) bool
	writes atomic.Int64
	down   atomic.Bool
	gone   atomic.Bool // refuses for good
}

func (m *member) PutAll(ctx context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
	m.writes.Add(1)
	if m.gone.Load() {
		return nil, refusal(sheaf.Draining, retryInfo(time.Hour))
	}
	if m.down.Load() {
		return nil, status.Error(codes.Unavailable, "no leader is known here")
	}
	table, group, several := router.Equal(m.groups), uint64(0), false
	for _, e := range req.GetEntries() {
		g := table.GroupOf(e.GetKey())
		several = several || group != 0 && g != group
		group = g
	}
	route := strconv.Itoa(m.groups)
	if !several && !m.leads(group) {
		route += " forwarded"
	}
	_ = grpc.SetTrailer(ctx, metadata.Pairs(routeKey, route))
	return &sheafv1.PutAllResponse{Version: 1}, nil
}

// startMembers starts three, and returns a client that knows them all.
func startMembers(t *testing.T, groups int, leads func(member int, group uint64) bool) ([]*member, *Client) {
	t.Helper()
	var members []*member
	var addrs []string
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		m := &member{server: grpc.NewServer(), addr: l.Addr().String(), groups: groups, leads: func(group uint64) bool { return leads(i, group) }}
		sheafv1.RegisterKVServiceServer(m.server, m)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = m.server.Serve(l)
		}()
		t.Cleanup(func() {
			m.server.Stop()
			<-done
		})
		members, addrs = append(members, m), append(addrs, m.addr)
	}
	c, err := New(strings.Join(addrs, ", "), WithRetry(RetryPolicy{BaseDelay: time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return members, c
}

func mustPut(t *testing.T, c *Client, keys ...string) {
	t.Helper()
	var entries []sheaf.Entry
	for _, key := range keys {
		entries = append(entries, sheaf.Put(key, "v"))
	}
	if _, err := c.PutAll(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

func TestWritesFindTheLeader(t *testing.T) {
	members, c := startMembers(t, 1, func(member int, _ uint64) bool { return member == 2 })
	for range 20 {
		mustPut(t, c, "a")
	}
	if n := members[2].writes.Load(); n < 18 {
		t.Errorf("the leader got %d of 20 writes", n)
	}
}

func TestWritesFindTheLeaderOfTheirGroup(t *testing.T) {
	members, c := startMembers(t, 3, func(member int, group uint64) bool { return uint64(member)+1 == group })
	for range 20 {
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			mustPut(t, c, key)
		}
	}
	forwarded := int64(0)
	for i, m := range members {
		want := int64(0)
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			if router.Equal(3).GroupOf([]byte(key)) == uint64(i)+1 {
				want += 20
			}
		}
		forwarded += max(m.writes.Load()-want, 0)
	}
	if forwarded > 8 { // at most two for each group, and the first ones
		t.Errorf("%d of 100 writes went elsewhere first", forwarded)
	}
}

func TestNobodyLooksForEverForALeader(t *testing.T) {
	members, c := startMembers(t, 1, func(int, uint64) bool { return false })
	for range 30 {
		mustPut(t, c, "a")
	}
	most := int64(0)
	for _, m := range members {
		most = max(most, m.writes.Load())
	}
	if most < 25 {
		t.Errorf("the writes wandered: no node got more than %d of 30", most)
	}
}

func TestAnotherNodeTakesOver(t *testing.T) {
	members, c := startMembers(t, 1, func(int, uint64) bool { return true })
	mustPut(t, c, "a")
	members[0].server.Stop()
	mustPut(t, c, "a")
	members[1].down.Store(true)
	for range 5 {
		mustPut(t, c, "a")
	}
	if n := members[2].writes.Load(); n < 4 {
		t.Errorf("the last node got %d writes", n)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	for _, addr := range []string{"", "a:1,", "a:1,b", strings.Repeat("a:1,", maxNodes) + "a:1"} {
		if c, err := New(addr, WithInsecure()); err == nil {
			t.Errorf("%q is taken", addr)
			_ = c.Close()
		}
	}
}

// TestARefusalForGoodSendsTheCallToTheOthersFirst.
func TestARefusalForGoodSendsTheCallToTheOthersFirst(t *testing.T) {
	members, c := startMembers(t, 1, func(int, uint64) bool { return true })
	members[0].gone.Store(true)
	members[1].gone.Store(true)
	if _, err := c.PutAll(t.Context(), someEntries); err != nil {
		t.Fatalf("one of three takes it: %v", err)
	}
	members[2].gone.Store(true)
	before := members[0].writes.Load() + members[1].writes.Load() + members[2].writes.Load()
	_, err := c.PutAll(t.Context(), someEntries)
	if sheaf.CodeOf(err) != sheaf.Draining {
		t.Errorf("none of three takes it: %v", err)
	}
	if n := members[0].writes.Load() + members[1].writes.Load() + members[2].writes.Load() - before; n != 3 {
		t.Errorf("%d attempts, want one at each", n)
	}
}
