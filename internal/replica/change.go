package replica

import (
	"fmt"

	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// Change returns what the replicas are after the committed entry at index changed them: for
// a state that is brought up to date without a core.
func Change(conf *pb.ConfState, e *pb.Entry, index uint64) (*pb.ConfState, error) {
	change, err := changeOf(e)
	if err != nil {
		return nil, err
	}
	changer := confchange.Changer{Tracker: tracker.MakeProgressTracker(1, 0), LastIndex: index}
	if changer.Tracker.Config, changer.Tracker.Progress, err = confchange.Restore(changer, conf); err != nil {
		return nil, err
	}
	v2 := change.AsV2()
	config, progress := changer.Tracker.Config, changer.Tracker.Progress
	if v2.LeaveJoint() {
		config, progress, err = changer.LeaveJoint()
	} else if auto, joint := v2.EnterJoint(); joint {
		config, progress, err = changer.EnterJoint(auto, v2.GetChanges()...)
	} else {
		config, progress, err = changer.Simple(v2.GetChanges()...)
	}
	if err != nil {
		return nil, err
	}
	changer.Tracker.Config, changer.Tracker.Progress = config, progress
	return changer.Tracker.ConfState(), nil
}

// changeReplicas makes a committed change count. raft asks for that when the entry is
// applied; here it is when the state machine gets it, a moment earlier, so that what the
// replicas are afterwards can be kept with the state.
func (c *Core) changeReplicas(e *pb.Entry) *pb.ConfState {
	change, err := changeOf(e)
	if err != nil {
		panic(fmt.Sprintf("replica: log entry %d: %v", e.GetIndex(), err))
	}
	c.tail.conf = c.node.ApplyConfChange(change)
	c.quickest.won, c.quickest.racing = nil, nil // who is needed may be another
	return c.tail.conf
}

func changeOf(e *pb.Entry) (pb.ConfChangeI, error) {
	switch e.GetType() {
	case pb.EntryConfChange:
		one := &pb.ConfChange{}
		return one, proto.Unmarshal(e.GetData(), one)
	case pb.EntryConfChangeV2:
		one := &pb.ConfChangeV2{}
		return one, proto.Unmarshal(e.GetData(), one)
	}
	return nil, fmt.Errorf("no change of replicas has the type %s", e.GetType())
}
