package sim

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// network is which links are cut, by sender and receiver.
type network struct{ cut map[link]bool }

type link struct{ from, to *node }

func (t *network) begin() { t.cut = make(map[link]bool) }

// send takes a message to another replica, or loses it.
func (w *World) send(from *node, m *pb.Message) {
	to := from.group.replicas[m.GetTo()-1]
	isSnapshot := m.GetType() == pb.MsgSnap
	if !w.calm && (w.net.cut[link{from, to}] || w.chance(30)) {
		w.stats.Dropped++
		from.soon(0, func() {
			if isSnapshot {
				from.core.SnapshotSent(to.id, false)
			}
			from.core.Unreachable(to.id)
			from.turn()
		})
		return
	}
	copies := 1
	if !w.calm && w.chance(30) {
		w.stats.Doubled++
		copies = 2
	}
	for range copies {
		w.after(w.delay(), func() {
			arrived := to.alive
			if arrived {
				// What a sender still holds must not be what the receiver keeps.
				copied := proto.Clone(m).(*pb.Message)
				to.soon(0, func() {
					to.core.Step(copied)
					to.turn()
				})
			}
			if isSnapshot && from.alive {
				from.soon(w.delay(), func() {
					from.core.SnapshotSent(to.id, arrived)
					from.turn()
				})
			}
		})
	}
}

// delay is how long a message is on its way.
func (w *World) delay() time.Duration {
	if !w.calm && w.chance(50) {
		return w.between(10*time.Millisecond, 2*time.Second)
	}
	return w.between(200*time.Microsecond, 5*time.Millisecond)
}
