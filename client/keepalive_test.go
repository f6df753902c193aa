package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// A call that is silent for ten minutes, and then ten minutes without a call:
// forty pings, where two strikes end the connection.
func TestKeepaliveIsWithinTheServersPolicy(t *testing.T) {
	for _, test := range []struct {
		name   string
		policy keepalive.EnforcementPolicy
		ok     bool
	}{
		{"the policy of our server", keepalive.EnforcementPolicy{MinTime: KeepaliveMinTime, PermitWithoutStream: true}, true},
		// The counterproof: that this test would see too_many_pings.
		{"the default policy of gRPC", keepalive.EnforcementPolicy{}, false},
		{"a policy that forbids pings between calls", keepalive.EnforcementPolicy{MinTime: KeepaliveMinTime}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node := &fakeNode{putall: []writeLine{slow, applied(2)}}
				c := serve(t, node, []grpc.ServerOption{grpc.KeepaliveEnforcementPolicy(test.policy)}, WithTimeout(time.Hour))
				result, err := c.PutAll(t.Context(), someEntries)
				if err != nil {
					t.Fatal(err)
				}
				<-time.After(10 * time.Minute)
				if _, err := c.PutAll(t.Context(), someEntries); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				kept := result.Attempts == 1 && node.listener.accepted == 1
				if kept != test.ok {
					t.Errorf("%d attempts over %d connections: kept is %v, want %v",
						result.Attempts, node.listener.accepted, kept, test.ok)
				}
			})
		})
	}
}

func slow(ctx context.Context, _ *fakeNode, _ *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
	select {
	case <-time.After(10 * time.Minute):
		return &sheafv1.PutAllResponse{Version: 1}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
