package node

import (
	"errors"
	"fmt"
)

// The states of a node.
const (
	stateForming    = "meeting the other nodes"
	stateRecovering = "recovering"
	stateServing    = "serving"
	stateNoSpace    = "no space"
	stateDraining   = "draining"
	stateRemoved    = "removed from the cluster"
	// stateDamaged: a damaged file was found; what can be read is still served.
	stateDamaged = "damaged"
)

// setDamaged makes readiness fail from here on, until somebody has looked.
func (n *Node) setDamaged(error) {
	if *n.state.Load() != stateDraining {
		n.setState(stateDamaged)
	}
}

func (n *Node) setState(state string) { n.state.Store(&state) }

// ready says why the node cannot serve, or nil.
func (n *Node) ready() error {
	if err := n.foreigns.problem(); err != nil {
		return err
	}
	switch state := *n.state.Load(); state {
	case stateServing, stateNoSpace: // without space reads go on
		for _, h := range n.hosted {
			if h.group.Leader() == 0 {
				return fmt.Errorf("no leader of group %d", h.id)
			}
		}
		return nil
	default:
		return errors.New(state)
	}
}

// notYet says why the node does not serve yet.
func (n *Node) notYet() string {
	state := *n.state.Load()
	why := "the node does not serve yet: its state is " + state
	if names := n.waitsFor.Load(); names != nil && state == stateForming {
		why += " of a new cluster, and it waits for " + *names
	}
	return why
}

func (n *Node) swapState(from, to string) bool {
	now := n.state.Load()
	return *now == from && n.state.CompareAndSwap(now, &to)
}
