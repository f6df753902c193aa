package rpc

import (
	"context"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// nodeService answers what a node says of itself.
type nodeService struct {
	sheafv1.UnimplementedNodeServiceServer
	status func() *sheafv1.GetStatusResponse
}

// GetStatus implements sheafv1.NodeServiceServer.
func (n nodeService) GetStatus(context.Context, *sheafv1.GetStatusRequest) (*sheafv1.GetStatusResponse, error) {
	return n.status(), nil
}
