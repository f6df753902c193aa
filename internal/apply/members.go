package apply

import (
	"fmt"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// MembersKey is where the first group's state has the cluster's wire.Members, in store.Own.
var MembersKey = []byte("members")

// MaxMembers bounds the nodes of a cluster: each has a replica of every group, and a leader
// waits for a majority of them.
const MaxMembers = 9

// ReadMembers reads the members of the cluster from the state of its first group.
func ReadMembers(state State) (wire.Members, error) {
	data, _, err := state.Get(store.Own, MembersKey)
	if err != nil {
		return wire.Members{}, err
	}
	m, err := wire.DecodeMembers(data)
	if err != nil {
		err = fmt.Errorf("%w: the members of the cluster: %w", store.ErrCorrupt, err)
	}
	return m, err
}

// applyJoin makes a node a member, or notes where a member is. A name belongs to one disk for
// as long as its node is a member; the answer's Version is the member's number.
func applyJoin(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	if len(cmd.Keys) != 3 {
		return Result{}, fmt.Errorf("a Join has %d fields", len(cmd.Keys))
	}
	member := wire.Member{Name: string(cmd.Keys[0]), Addr: string(cmd.Keys[1]), Disk: string(cmd.Keys[2])}
	m, err := ReadMembers(state)
	if err != nil {
		return Result{}, err
	}
	if other := slices.IndexFunc(m.All, func(o wire.Member) bool { return o.Disk != "" && o.Disk == member.Disk }); other >= 0 && m.All[other].Name != member.Name {
		return refuse(sheaf.Invalid("node", "is called %s, but its disk is that of the member %s: start it under that name, or with an empty data directory", member.Name, m.All[other].Name))
	}
	at := m.Named(member.Name)
	switch {
	case at < 0 && len(m.All) >= MaxMembers:
		return refuse(sheaf.Invalid("node", "%s would be one more than %d members: remove one first", member.Name, MaxMembers))
	case at < 0:
		m.Last++
		member.ID = m.Last
		at = len(m.All)
		m.All = append(m.All, member)
	case m.All[at].Disk != "" && member.Disk != "" && m.All[at].Disk != member.Disk:
		return refuse(sheaf.Invalid("node", "%s is a member with another disk, and what that one promised is lost: remove the member first (sheaf cluster remove %s), or join under another name", member.Name, member.Name))
	default:
		m.All[at].Addr = member.Addr
		if member.Disk != "" {
			m.All[at].Disk = member.Disk
		}
	}
	return Result{Version: m.All[at].ID}, setMembers(&m, out)
}

// applyLeave ends a node's membership. Its number is not given again. Whether the groups can
// do without the node was judged for certain members: among others it may be wrong.
func applyLeave(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	if len(cmd.Keys) < 1 || len(cmd.Keys) > 2 {
		return Result{}, fmt.Errorf("a Leave has %d fields", len(cmd.Keys))
	}
	m, err := ReadMembers(state)
	if err != nil {
		return Result{}, err
	}
	at := m.Named(string(cmd.Keys[0]))
	switch {
	case at < 0:
		return refuse(sheaf.Invalid("node", "%s is no member", cmd.Keys[0]))
	case len(m.All) == 1:
		return refuse(sheaf.Invalid("node", "%s is the only member: stop it instead", cmd.Keys[0]))
	case len(cmd.Keys) == 2 && m.Numbers() != string(cmd.Keys[1]):
		return refuse(sheaf.Errorf(sheaf.Contention, "the members of the cluster changed meanwhile; nothing was written: try again"))
	}
	id := m.All[at].ID
	m.Left = append(m.Left, m.All[at])
	m.Left = m.Left[max(0, len(m.Left)-MaxMembers):]
	m.All = slices.Delete(m.All, at, at+1)
	return Result{Version: id}, setMembers(&m, out)
}

func setMembers(m *wire.Members, out *store.Mutations) error {
	data, err := m.Encode()
	if err == nil {
		out.Set(store.Own, MembersKey, nil, data)
	}
	return err
}
