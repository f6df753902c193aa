package peer

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Identity says who a node is.
type Identity struct {
	// Cluster is empty while the cluster is being formed.
	Cluster string
	// ID is the node's number, Name its name. Neither is given to another node.
	ID   uint64
	Name string
	// Disk is drawn when a data directory is made: a node whose disk was wiped is another.
	Disk string
}

// Every call carries who calls, and whom he thinks that he calls.
const (
	clusterKey = "sheaf-cluster"
	idKey      = "sheaf-node"
	nameKey    = "sheaf-node-name"
	diskKey    = "sheaf-disk"
	toKey      = "sheaf-to"
)

func (id Identity) metadata(to uint64) metadata.MD {
	return metadata.Pairs(clusterKey, id.Cluster, idKey, strconv.FormatUint(id.ID, 10),
		nameKey, id.Name, diskKey, id.Disk, toKey, strconv.FormatUint(to, 10))
}

// identityOf reads who calls, and whom.
func identityOf(ctx context.Context) (from Identity, to uint64, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	one := func(key string) string {
		if values := md.Get(key); len(values) == 1 {
			return values[0]
		}
		return ""
	}
	from = Identity{Cluster: one(clusterKey), Name: one(nameKey), Disk: one(diskKey)}
	if from.ID, err = strconv.ParseUint(one(idKey), 10, 64); err == nil {
		to, err = strconv.ParseUint(one(toKey), 10, 64)
	}
	if err != nil || from.Disk == "" {
		return Identity{}, 0, status.Error(codes.Unauthenticated, "the caller does not say which node it is: this address is for the nodes of a cluster")
	}
	return from, to, nil
}

// String reads "n1 (1)".
func (id Identity) String() string { return fmt.Sprintf("%s (%d)", id.Name, id.ID) }
