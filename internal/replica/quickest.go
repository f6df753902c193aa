package replica

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
)

// quickest lets a leader ask no more replicas than it needs for a read. The others are asked with
// the next tick: by then the read is over, or one that is asked hangs. Who is asked are those that
// answered the last heartbeat before the others: every heartbeat that time brings goes to all, and
// is a race, so that a replica which hangs is asked alone for no longer than that.
//
// Nothing depends on it but time: a message that is kept back might as well be lost.
type quickest struct {
	won    []uint64 // the last race, enough for a majority with this replica
	racing []uint64 // who has answered the heartbeat that is on its way
	// ticked says that a tick has passed since the last Work.
	ticked bool
	// spared are the questions that were kept back, the newest to each replica.
	spared []*pb.Message
}

// needed is how many voters make a majority with this one, false if that is no matter of a number.
func (c *Core) needed() (n int, ok bool) {
	conf := c.tail.conf
	voters := conf.GetVoters()
	return len(voters) / 2, len(conf.GetVotersOutgoing()) == 0 && slices.Contains(voters, c.id)
}

// answered takes the answer to a heartbeat.
func (c *Core) answered(m *pb.Message) {
	q := &c.quickest
	n, ok := c.needed()
	if !ok || len(q.racing) >= n || slices.Contains(q.racing, m.GetFrom()) || !slices.Contains(c.tail.conf.GetVoters(), m.GetFrom()) {
		return
	}
	if q.racing = append(q.racing, m.GetFrom()); len(q.racing) == n {
		q.won = append(q.won[:0], q.racing...)
	}
}

// spare keeps the questions of reads back from replicas whose answer is not needed.
func (c *Core) spare(messages []*pb.Message) []*pb.Message {
	q := &c.quickest
	if q.ticked { // what it has brought goes to all
		q.ticked = false
		if slices.ContainsFunc(messages, isHeartbeat) {
			q.racing = q.racing[:0]
		}
		messages = append(messages, q.spared...)
		q.spared = nil
		return messages
	}
	n, ok := c.needed()
	if !ok || len(q.won) != n {
		return messages
	}
	return slices.DeleteFunc(messages, func(m *pb.Message) bool {
		keep := isHeartbeat(m) && len(m.GetContext()) > 0 && !slices.Contains(q.won, m.GetTo())
		if keep {
			q.spared = append(slices.DeleteFunc(q.spared, func(old *pb.Message) bool { return old.GetTo() == m.GetTo() }), m)
		}
		return keep
	})
}

func isHeartbeat(m *pb.Message) bool { return m.GetType() == pb.MsgHeartbeat }
