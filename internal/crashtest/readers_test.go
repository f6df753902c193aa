package crashtest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// shown is what a key of a group showed to a reader who was owed what there was up to a version.
type shown struct {
	group          int
	version, after uint64
}

// watch reads on and on at one node, at LINEARIZABLE and, as a session, at SEQUENTIAL. The session
// passes on the largest version that it has seen, and now and then is told by who wrote. No half
// batch, none that was refused or that nobody wrote, and, at LINEARIZABLE, nothing older than what
// was acknowledged before the read began; what the session is owed is known when all outcomes are,
// see checkShown.
func watch(ctx context.Context, t *testing.T, addr string, h *history, rng *rand.Rand) (reads, inSession int) {
	c := connect(t, addr)
	after := slices.Max(h.tops(rng.Perm(h.groups))) // what is older is forgotten
	for ctx.Err() == nil {
		groups := rng.Perm(hotGroups)[:1+rng.IntN(4)]
		if rng.IntN(2) == 0 {
			groups = pick(rng)
		}
		var keys [][]byte
		for _, group := range groups {
			keys = append(keys, keysOf(group)...)
		}
		least := h.tops(groups)
		options, level := []client.ReadOption{client.WithoutRetry()}, sheaf.Linearizable
		if rng.IntN(2) == 0 {
			if rng.IntN(2) == 0 {
				after = max(after, slices.Max(least))
			}
			level = sheaf.Sequential
			options = append(options, client.At(level), client.After(after))
			for i := range least {
				least[i] = after
			}
		}
		readCtx, cancel := context.WithTimeout(ctx, 3*time.Second)
		values, err := c.GetAll(readCtx, keys, options...)
		cancel()
		if err != nil {
			if code := sheaf.CodeOf(err); code == sheaf.Internal || code == sheaf.Corruption {
				t.Errorf("a read at %s: %v", addr, err)
			}
			time.Sleep(refusalPause) // nobody to ask, no leader, or a replica that is behind
			continue
		}
		reads++
		if level == sheaf.Sequential {
			inSession++
		}
		for i, item := range values.Items {
			group, least := groups[i/keysPerGroup], least[i/keysPerGroup]
			if level == sheaf.Linearizable && item.Version < least {
				t.Errorf("a read of group %d at %s shows version %d, and %d had been acknowledged before it", group, addr, item.Version, least)
			}
			if wrong := h.wrongToShow(group, item); wrong != "" {
				t.Errorf("a read of group %d at %s at %v shows %s", group, addr, level, wrong)
			}
			if i%keysPerGroup == 0 || item.Version != values.Items[i-1].Version {
				h.show(shown{group, item.Version, least})
			}
			after = max(after, item.Version)
		}
		if half := h.halved(keys, groups, values.Items, level); half != "" {
			t.Errorf("a read of groups %v at %s at %v shows half of batch %s", groups, addr, level, half)
		}
	}
	return reads, inSession
}

// tops are the largest versions acknowledged for some groups.
func (h *history) tops(groups []int) []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	versions := make([]uint64, len(groups))
	for i, group := range groups {
		versions[i] = h.top[group]
	}
	return versions
}

// wrongToShow says why nobody may see an item of a group, "" if he may.
func (h *history) wrongToShow(group int, item sheaf.Item) string {
	if !item.Found {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	stamp := strings.Clone(stampOf(item.Value))
	switch b := h.batches[stamp]; {
	case b == nil:
		return "batch " + stamp + ", which nobody wrote or which all nodes had overwritten"
	case h.refused[stamp] != nil:
		return "batch " + stamp + ", which was refused: " + h.refused[stamp].Error()
	case b.version != 0 && b.at(group) != item.Version:
		return "batch " + stamp + " with another version than the one that was acknowledged"
	}
	return ""
}

// halved says which batch is shown in part, "" if none is: where a key shows it, its other keys
// show nothing older; if the batch or the read is at SEQUENTIAL, those in the same replica
// group.
func (h *history) halved(keys [][]byte, groups []int, items []sheaf.Item, level sheaf.Consistency) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, one := range items {
		b := h.batches[stampOf(one.Value)]
		for j, other := range items {
			if b != nil && other.Version < one.Version && slices.Contains(b.groups, groups[j/keysPerGroup]) &&
				(level == sheaf.Linearizable && b.level == level || h.table.GroupOf(keys[i]) == h.table.GroupOf(keys[j])) {
				return fmt.Sprintf("%s: %q has version %d, and %q has %d", b.id, keys[i], one.Version, keys[j], other.Version)
			}
		}
	}
	return ""
}

func (h *history) show(s shown) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shown = append(h.shown, s)
}

// checkShown wants everything that readers saw to be of a batch that was applied, and as new as
// the last one up to the version that they were owed, whenever that was acknowledged.
func (h *history) checkShown(t *testing.T) {
	t.Helper()
	of := h.byVersion()
	for _, s := range h.shown {
		batches := of[s.group]
		next, found := slices.BinarySearchFunc(batches, s.version, func(b *batch, version uint64) int { return cmp.Compare(b.at(s.group), version) })
		if found {
			next++
		} else if s.version != 0 {
			t.Errorf("group %d showed version %d, and no batch has it", s.group, s.version)
		}
		if next < len(batches) && batches[next].at(s.group) <= s.after {
			t.Errorf("group %d showed version %d to a session that had seen %d, and batch %s has %d", s.group, s.version, s.after, batches[next].id, batches[next].at(s.group))
		}
	}
	h.shown = nil
}
