package wire

import (
	"encoding/json"
	"strconv"
	"strings"
)

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

// MaxNameBytes bounds a node's name: it is a label of a DNS name in the node's certificate.
const MaxNameBytes = 63

// NameRule says what ValidName wants, for people.
const NameRule = "letters, digits, '-', '_' and '.', at most 63 of them"

// ValidName says whether a node may have this name.
func ValidName(name string) bool {
	for _, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return name != "" && len(name) <= MaxNameBytes
}

// Members are all nodes of a cluster, by number.
type Members struct {
	// Last is the largest number that was ever given.
	Last uint64   `json:"last"`
	All  []Member `json:"members"`
	// Left are those that were removed last. Until a group has dropped the replica of one it
	// may need its vote, and so where it is.
	Left []Member `json:"left,omitempty"`
}

// Numbers are the members' numbers, as text: what a Leave was decided upon.
func (m *Members) Numbers() string {
	var b strings.Builder
	for i := range m.All {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(m.All[i].ID, 10))
	}
	return b.String()
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
