package crashtest

import (
	"math/rand/v2"

	"github.com/sheafdb/sheaf/client"
)

// pickParts draws groups of keys for a batch at SEQUENTIAL. All keys of each are in one replica
// group, so that a group of keys is a part of the batch, or some of one, and has one version.
func pickParts(rng *rand.Rand) (groups []int) {
	of := allGroups
	if rng.IntN(8) == 0 {
		of = hotGroups
	}
	for _, n := range rng.Perm(of / 3)[:1+rng.IntN(3)] {
		groups = append(groups, 3*n+2)
	}
	return groups
}

// take acknowledges a batch if all of it was applied: parts that are missing are applied when it
// is sent again.
func (h *history) take(b *batch, result client.Result) bool {
	versions := make(map[uint64]uint64)
	for _, part := range result.Parts {
		if !part.Applied {
			return false
		}
		versions[part.Group] = part.Version
	}
	if len(versions) > 0 {
		h.mu.Lock()
		b.parts = make(map[int]uint64)
		for _, group := range b.groups {
			b.parts[group] = versions[h.table.GroupOf(keysOf(group)[0])]
		}
		h.severed++
		h.mu.Unlock()
	}
	h.acknowledge(b, result.Version)
	return true
}

// at is the version of a group of the batch's keys; 0 while there is no answer.
func (b *batch) at(group int) uint64 {
	if b.parts != nil {
		return b.parts[group]
	}
	return b.version
}
