package sim

import (
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/store"
)

// nemesis does one evil thing, and comes back.
func (w *World) nemesis() {
	if w.calm {
		return
	}
	w.after(w.between(50*time.Millisecond, 1200*time.Millisecond), w.nemesis)
	g := w.groups[w.rng.IntN(len(w.groups))]
	n := g.replicas[w.rng.IntN(len(g.replicas))]
	if leader := g.leader(); leader != nil && w.chance(3) {
		n = leader
	}
	switch w.rng.IntN(11) {
	case 0, 1:
		w.crash(n)
	case 2:
		w.each(w.crash)
	case 3, 4:
		w.cutLinks(g)
	case 5:
		w.stats.Pauses++
		n.pausedUntil = w.now + w.between(100*time.Millisecond, 5*time.Second)
	case 6, 10:
		w.stats.ClockJumps++
		n.clockOffset = w.between(-20*time.Second, 20*time.Second)
	case 7:
		if leader := g.leader(); leader != nil {
			w.stats.Transfers++
			leader.core.Transfer(n.id)
			leader.turn()
		}
	case 8:
		w.changeReplicas(g)
	case 9:
		if w.cfg.Mixed {
			w.doors[w.rng.IntN(len(w.doors))].crash()
		} else {
			w.crash(n)
		}
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

// cutLinks separates some replicas of a group from the others, one way or both, for a
// while.
func (w *World) cutLinks(g *group) {
	w.stats.Cuts++
	var links []link
	oneWay, inside := w.chance(3), make([]bool, len(g.replicas))
	for i := range inside {
		inside[i] = w.chance(2)
	}
	for i, a := range g.replicas {
		for j, b := range g.replicas {
			if inside[i] != inside[j] && (inside[i] || !oneWay) {
				links = append(links, link{a, b})
			}
		}
	}
	for _, one := range links {
		w.net.cut[one] = true
	}
	w.after(w.between(200*time.Millisecond, 5*time.Second), func() {
		for _, one := range links {
			delete(w.net.cut, one)
		}
	})
}

// changeReplicas asks the leader for one replica more or less. An ID is never used again.
func (w *World) changeReplicas(g *group) {
	leader := g.leader()
	if leader == nil || w.cfg.Replicas == 1 {
		return
	}
	voters := leader.core.Status().Voters
	change := pb.ConfChangeAddNode
	id := uint64(0)
	if len(voters) > 3 && w.chance(2) || len(voters) >= 5 {
		change, id = pb.ConfChangeRemoveNode, voters[w.rng.IntN(len(voters))]
	} else {
		if len(g.replicas) >= 9 {
			return
		}
		n := w.addNode(g)
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

// heal ends all faults. What has crashed starts again, if not by itself.
func (w *World) heal() {
	w.calm = true
	clear(w.net.cut)
	w.each(func(n *node) {
		n.pausedUntil = 0
		if !n.alive {
			n.start()
		}
	})
}

// members are a group's replicas, as the one that has come farthest has them.
func (g *group) members() (members []*node) {
	var farthest *node
	for _, n := range g.replicas {
		if n.alive && (farthest == nil || n.state.meta.Index > farthest.state.meta.Index) {
			farthest = n
		}
	}
	if farthest == nil {
		return nil
	}
	for _, n := range g.replicas {
		if slices.Contains(farthest.state.conf.GetVoters(), n.id) {
			members = append(members, n)
		}
	}
	return members
}

// atRest says that all clients are answered, all replicas have all there is, and nobody
// holds a key.
func (w *World) atRest() bool {
	for _, c := range w.clients {
		if c.left > 0 || c.busy {
			return false
		}
	}
	for _, d := range w.doors {
		if !d.alive || !d.accepted.Empty() {
			return false
		}
	}
	for _, g := range w.groups {
		if !g.atRest() {
			return false
		}
	}
	return true
}

func (g *group) atRest() bool {
	leads := false
	members := g.members()
	for _, n := range members {
		if !n.alive || len(n.appends)+len(n.applies) > 0 || n.state.meta.Index != members[0].state.meta.Index {
			return false
		}
		status := n.core.Status()
		leads = leads || status.Leading
		if status.Last != n.state.meta.Index || len(n.state.spaces[store.Attempts]) > 0 {
			return false
		}
	}
	return leads
}
