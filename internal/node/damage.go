package node

import (
	"errors"
	"fmt"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wal"
)

// Damaged says whether an error is one of damaged files, which no other start will mend.
func Damaged(err error) bool {
	_, log := errors.AsType[*wal.CorruptError](err)
	return log || errors.Is(err, store.ErrCorrupt)
}

// What to do about damaged files. A member must not go back to an older copy of its files, which a
// node alone may: the others count on what it has promised.
const (
	damagedMember = "this node is one of a cluster: start a new one with --join, and replace this one with it: sheaf cluster replace %s NEW. Do not go back to an older copy of its files, which would have forgotten what the node has promised"
	damagedAlone  = "this node has no others: move the data directory away, and restore a backup into an empty one (sheaf restore), or start with an empty one"
	damagedEither = "if the node is one of a cluster, start a new one with --join and replace this one with it (sheaf cluster replace); if it is alone, move the data directory away, and restore a backup into an empty one (sheaf restore), or start with an empty one"
)

// advise adds to an error of damaged files what to do.
func (n *Node) advise(err error) error {
	if !Damaged(err) {
		return err
	}
	advice := damagedEither // it is not known which
	switch name, others := n.standing(); {
	case n.dir == nil:
	case others:
		advice = fmt.Sprintf(damagedMember, name)
	default:
		advice = damagedAlone
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// standing is the node's name, and whether its cluster has others.
func (n *Node) standing() (name string, others bool) {
	switch {
	case n.bridge != nil:
		return n.bridge.Name(), len(n.bridge.Members()) > 1
	case n.dir == nil:
		return "", false
	}
	id := &n.dir.identity // nobody else looks at it before there is a bridge
	members := id.Known
	if members == nil {
		members = id.Members
	}
	return id.self().Name, len(members) > 1
}
