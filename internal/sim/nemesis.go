package sim

import (
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// nemesis does one evil thing, and comes back.
func (w *World) nemesis() {
	if w.calm {
		return
	}
	w.after(w.between(50*time.Millisecond, 1200*time.Millisecond), w.nemesis)
	n := w.replicas[w.rng.IntN(len(w.replicas))]
	if leader := w.leader(); leader != nil && w.chance(3) {
		n = leader
	}
	switch w.rng.IntN(9) {
	case 0, 1:
		w.crash(n)
	case 2:
		for _, n := range w.replicas {
			w.crash(n)
		}
	case 3, 4:
		w.cutLinks()
	case 5:
		w.stats.Pauses++
		n.pausedUntil = w.now + w.between(100*time.Millisecond, 5*time.Second)
	case 6:
		w.stats.ClockJumps++
		n.clockOffset = w.between(-10*time.Minute, 10*time.Minute)
	case 7:
		if leader := w.leader(); leader != nil {
			w.stats.Transfers++
			leader.core.Transfer(n.id)
			leader.turn()
		}
	case 8:
		w.changeReplicas()
	}
}

func (w *World) crash(n *node) {
	if !n.alive {
		return
	}
	w.stats.Crashes++
	n.crash()
	w.after(w.between(20*time.Millisecond, 3*time.Second), func() {
		if !n.alive {
			n.start()
		}
	})
}

// cutLinks separates some replicas from the others, one way or both, for a while.
func (w *World) cutLinks() {
	w.stats.Cuts++
	var links [][2]uint64
	oneWay, inside := w.chance(3), make([]bool, len(w.replicas))
	for i := range inside {
		inside[i] = w.chance(2)
	}
	for i, a := range w.replicas {
		for j, b := range w.replicas {
			if inside[i] != inside[j] && (inside[i] || !oneWay) {
				links = append(links, [2]uint64{a.id, b.id})
			}
		}
	}
	for _, link := range links {
		w.net.cut[link] = true
	}
	w.after(w.between(200*time.Millisecond, 5*time.Second), func() {
		for _, link := range links {
			delete(w.net.cut, link)
		}
	})
}

// changeReplicas asks the leader for one replica more or less. An ID is never used again.
func (w *World) changeReplicas() {
	leader := w.leader()
	if leader == nil {
		return
	}
	voters := leader.core.Status().Voters
	change := pb.ConfChangeAddNode
	id := uint64(0)
	if len(voters) > 3 && w.chance(2) || len(voters) >= 5 {
		change, id = pb.ConfChangeRemoveNode, voters[w.rng.IntN(len(voters))]
	} else {
		if len(w.replicas) >= 9 {
			return
		}
		n := w.addNode()
		n.start()
		id = n.id
	}
	w.stats.Changes++
	leader.lastToken++
	err := leader.core.ProposeChange(leader.lastToken, &pb.ConfChangeV2{
		Changes: []*pb.ConfChangeSingle{{Type: change.Enum(), NodeId: &id}},
	})
	if err != nil {
		w.fail("propose a change of replicas: %v", err)
	}
	leader.turn()
}

// leader is a replica that leads, or thinks so.
func (w *World) leader() *node {
	for _, n := range w.replicas {
		if n.alive && n.core.Status().Leading {
			return n
		}
	}
	return nil
}

// heal ends all faults.
func (w *World) heal() {
	w.calm = true
	clear(w.net.cut)
	for _, n := range w.replicas {
		n.pausedUntil = 0
		if !n.alive {
			n.start()
		}
	}
}

// members are the group's replicas, as the one that has come farthest has it.
func (w *World) members() (members []*node) {
	var farthest *node
	for _, n := range w.replicas {
		if n.alive && (farthest == nil || n.state.meta.Index > farthest.state.meta.Index) {
			farthest = n
		}
	}
	if farthest == nil {
		return nil
	}
	for _, n := range w.replicas {
		if slices.Contains(farthest.state.conf.GetVoters(), n.id) {
			members = append(members, n)
		}
	}
	return members
}

// atRest says that all clients are answered and all replicas have all there is.
func (w *World) atRest() bool {
	for _, c := range w.clients {
		if c.left > 0 || c.busy {
			return false
		}
	}
	leads := false
	members := w.members()
	for _, n := range members {
		if !n.alive || len(n.appends)+len(n.applies) > 0 || n.state.meta.Index != members[0].state.meta.Index {
			return false
		}
		status := n.core.Status()
		leads = leads || status.Leading
		if status.Last != n.state.meta.Index {
			return false
		}
	}
	return leads
}
