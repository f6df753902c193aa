package node

import (
	"fmt"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// manyBehind is how many log entries a replica may be behind before it is worth a word.
const manyBehind = 10_000

// problems says what is wrong, and what to do.
func problems(c *sheafv1.GetClusterResponse) (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	names, answers := make(map[uint64]string), make(map[uint64]bool)
	led := true
	for _, group := range c.GetGroups() {
		led = led && group.GetLeader() != 0
	}
	for _, node := range c.GetNodes() {
		names[node.GetId()], answers[node.GetId()] = node.GetName(), node.GetError() == ""
		switch {
		case node.GetError() != "" && node.GetState() == stateForming:
			say("%s runs without its data: it waits to form a cluster that is there already (%s). If that lasts, give it its data directory, or replace it with a new node (sheaf cluster replace %s NEW)", node.GetName(), node.GetError(), node.GetName())
		case node.GetError() != "" && !led:
			say("%s does not answer (%s): start it. Where a group has no leader nothing can be replaced", node.GetName(), node.GetError())
		case node.GetError() != "":
			say("%s does not answer (%s): start it, or replace it with a new node (sheaf cluster replace %s NEW)", node.GetName(), node.GetError(), node.GetName())
		case node.GetState() != stateServing:
			say("%s is %s: see its log", node.GetName(), node.GetState())
		}
		if node.GetVersion() != c.GetNodes()[0].GetVersion() && node.GetVersion() != "" && c.GetNodes()[0].GetVersion() != "" {
			say("%s runs version %s and %s runs %s: finish the upgrade", node.GetName(), node.GetVersion(), c.GetNodes()[0].GetName(), c.GetNodes()[0].GetVersion())
		}
	}
	for _, group := range c.GetGroups() {
		if group.GetLeader() == 0 {
			say("group %d has no leader: its keys are not written, and not read at LINEARIZABLE, until a majority of its replicas is there again. If their disks are gone for good, restore a backup into a new cluster: docs/operations.md, \"A majority lost for good\"", group.GetGroup())
			continue
		}
		for _, r := range group.GetReplicas() {
			name, ok := names[r.GetNode()]
			switch {
			case !ok:
				say("group %d still has a replica on node %d, which was removed: it goes by itself when what is left has a majority", group.GetGroup(), r.GetNode())
			case !r.GetVoter():
				say("the replica of group %d on %s is catching up, %d log entries behind: wait", group.GetGroup(), name, r.GetLag())
			case !r.GetActive() && answers[r.GetNode()]: // of one that does not answer it is said above
				say("the replica of group %d on %s is not heard of by %s, which leads it: see the logs of both for why they do not reach each other", group.GetGroup(), name, names[group.GetLeader()])
			case r.GetActive() && r.GetLag() > manyBehind:
				say("the replica of group %d on %s is %d log entries behind: if that does not fall, its disk or network is too slow", group.GetGroup(), name, r.GetLag())
			}
		}
		for _, node := range c.GetNodes() {
			if !hasReplica(group, node.GetId()) {
				say("group %d has no replica on %s yet: it is added by itself, one after the other", group.GetGroup(), node.GetName())
			}
		}
	}
	return all
}

func hasReplica(group *sheafv1.ClusterGroup, node uint64) bool {
	for _, r := range group.GetReplicas() {
		if r.GetNode() == node {
			return true
		}
	}
	return false
}
