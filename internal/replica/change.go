package replica

import (
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// changeReplicas makes a committed change count. raft asks for that when the entry is
// applied; here it is when the state machine gets it, a moment earlier, so that what the
// replicas are afterwards can be kept with the state.
func (c *Core) changeReplicas(e *pb.Entry) *pb.ConfState {
	var change pb.ConfChangeI
	switch e.GetType() {
	case pb.EntryConfChange:
		one := &pb.ConfChange{}
		if err := proto.Unmarshal(e.GetData(), one); err != nil {
			panic(fmt.Sprintf("replica: log entry %d is no change of replicas: %v", e.GetIndex(), err))
		}
		change = one
	case pb.EntryConfChangeV2:
		one := &pb.ConfChangeV2{}
		if err := proto.Unmarshal(e.GetData(), one); err != nil {
			panic(fmt.Sprintf("replica: log entry %d is no change of replicas: %v", e.GetIndex(), err))
		}
		change = one
	default:
		panic(fmt.Sprintf("replica: log entry %d has the unknown type %s", e.GetIndex(), e.GetType()))
	}
	c.tail.conf = c.node.ApplyConfChange(change)
	return c.tail.conf
}
