package rpc

import (
	"context"

	"google.golang.org/grpc"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// Cluster is what a node can say of its cluster and do to it. Errors are *sheaf.Error.
type Cluster interface {
	Overview(ctx context.Context) (*sheafv1.GetClusterResponse, error)
	Remove(ctx context.Context, name string) error
	TransferLeader(ctx context.Context, group uint64, node string) error
	// Backup sends a copy of all groups in pieces; send keeps none of them.
	Backup(ctx context.Context, send func(piece []byte) error) error
}

// clusterService is the gRPC form of it.
type clusterService struct {
	sheafv1.UnimplementedClusterServiceServer
	cluster Cluster
}

// GetCluster implements sheafv1.ClusterServiceServer.
func (c clusterService) GetCluster(ctx context.Context, _ *sheafv1.GetClusterRequest) (*sheafv1.GetClusterResponse, error) {
	answer, err := c.cluster.Overview(ctx)
	return answer, statusOf(err)
}

// RemoveNode implements sheafv1.ClusterServiceServer.
func (c clusterService) RemoveNode(ctx context.Context, in *sheafv1.RemoveNodeRequest) (*sheafv1.RemoveNodeResponse, error) {
	return &sheafv1.RemoveNodeResponse{}, statusOf(c.cluster.Remove(ctx, in.GetName()))
}

// TransferLeader implements sheafv1.ClusterServiceServer.
func (c clusterService) TransferLeader(ctx context.Context, in *sheafv1.TransferLeaderRequest) (*sheafv1.TransferLeaderResponse, error) {
	return &sheafv1.TransferLeaderResponse{}, statusOf(c.cluster.TransferLeader(ctx, in.GetGroup(), in.GetNode()))
}

// Backup implements sheafv1.ClusterServiceServer.
func (c clusterService) Backup(_ *sheafv1.BackupRequest, stream grpc.ServerStreamingServer[sheafv1.BackupResponse]) error {
	var piece sheafv1.BackupResponse
	return statusOf(c.cluster.Backup(stream.Context(), func(data []byte) error {
		piece.Data = data
		return stream.Send(&piece) // which has encoded it when it returns
	}))
}
