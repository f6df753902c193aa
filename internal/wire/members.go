package wire

import "encoding/json"

// Member is one node of a cluster. Its number is also that of its replica in every group, and
// is never given to another.
type Member struct {
	ID   uint64 `json:"id"`
	Name string `json:"name"`
	// Addr is where the other nodes reach it.
	Addr string `json:"addr"`
	// Disk is empty until the member has been met: a node whose disk was wiped is another.
	Disk string `json:"disk,omitempty"`
}

// Members are all nodes of a cluster, by number.
type Members struct {
	// Last is the largest number that was ever given.
	Last uint64   `json:"last"`
	All  []Member `json:"members"`
}

// Named returns the place of a member in All, or -1.
func (m *Members) Named(name string) int {
	for i := range m.All {
		if m.All[i].Name == name {
			return i
		}
	}
	return -1
}

// Encode returns the encoding, which is the same for the same members.
func (m *Members) Encode() ([]byte, error) { return json.Marshal(m) }

// DecodeMembers is the inverse of Encode; nothing decodes to no members.
func DecodeMembers(data []byte) (m Members, err error) {
	if len(data) > 0 {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}
