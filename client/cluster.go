package client

import (
	"context"

	"google.golang.org/grpc"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// Cluster asks all members of the node's cluster how they are.
func (c *Client) Cluster(ctx context.Context) (*sheafv1.GetClusterResponse, error) {
	return manage(ctx, c, "cluster", func(ctx context.Context, s sheafv1.ClusterServiceClient, opts ...grpc.CallOption) (*sheafv1.GetClusterResponse, error) {
		return s.GetCluster(ctx, &sheafv1.GetClusterRequest{}, opts...)
	})
}

// RemoveNode ends the membership of the node of that name. Its replicas go afterwards, as soon
// as what is left has a majority; Cluster tells.
func (c *Client) RemoveNode(ctx context.Context, name string) error {
	_, err := manage(ctx, c, "remove node", func(ctx context.Context, s sheafv1.ClusterServiceClient, opts ...grpc.CallOption) (*sheafv1.RemoveNodeResponse, error) {
		return s.RemoveNode(ctx, &sheafv1.RemoveNodeRequest{Name: name}, opts...)
	})
	return err
}

// TransferLeader has the node of that name lead a group, and returns when it does.
func (c *Client) TransferLeader(ctx context.Context, group uint64, node string) error {
	_, err := manage(ctx, c, "transfer leader", func(ctx context.Context, s sheafv1.ClusterServiceClient, opts ...grpc.CallOption) (*sheafv1.TransferLeaderResponse, error) {
		return s.TransferLeader(ctx, &sheafv1.TransferLeaderRequest{Group: group, Node: node}, opts...)
	})
	return err
}

// manage makes one call of the ClusterService, with the retries of all calls.
func manage[T any](ctx context.Context, c *Client, op string, do func(context.Context, sheafv1.ClusterServiceClient, ...grpc.CallOption) (*T, error)) (*T, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	var answer *T
	_, err := c.run(ctx, c.newCall(op), func(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (sent bool, err error) {
		answer, err = do(ctx, sheafv1.NewClusterServiceClient(conn), opts...)
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}
