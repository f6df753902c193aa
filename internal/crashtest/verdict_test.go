package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// sight is what a group of keys shows; no stamp when no key of it is there.
type sight struct {
	stamp   string
	version uint64
}

// look reads all groups, many at one instant, and fails on one that shows two
// stamps, a part of its keys, or a value that its batch did not have.
func look(t *testing.T, c *client.Client, h *history) map[int]sight {
	t.Helper()
	groups := make([]int, h.groups)
	for i := range groups {
		groups[i] = i
	}
	return lookAt(t, c, h, groups)
}

// lookAt does the same for some groups.
func lookAt(t *testing.T, c *client.Client, h *history, groups []int) map[int]sight {
	t.Helper()
	seen := make(map[int]sight)
	for some := range slices.Chunk(groups, keyGroups) {
		var keys [][]byte
		for _, group := range some {
			keys = append(keys, keysOf(group)...)
		}
		values, err := c.GetAll(t.Context(), keys)
		if err != nil {
			t.Fatalf("read the groups from %d on: %v", some[0], err)
		}
		for i, item := range values.Items {
			h.see(t, seen, some[i/keysPerGroup], item)
		}
	}
	return seen
}

// see adds what one key shows to what its group does.
func (h *history) see(t *testing.T, seen map[int]sight, group int, item sheaf.Item) {
	t.Helper()
	this := sight{stamp: stampOf(item.Value), version: item.Version}
	if first, ok := seen[group]; ok && this != first {
		t.Errorf("group %d shows a half batch: %+v beside %+v", group, first, this)
	}
	if b := h.batches[this.stamp]; item.Found && (b == nil || string(item.Value) != string(b.value())) {
		t.Errorf("group %d has a value that nobody wrote: %.80q", group, item.Value)
	}
	seen[group] = this
}

// verify holds what a node that came back shows against what the callers know,
// settles what they do not know, and looks again. Nobody else may write.
func (h *history) verify(t *testing.T, addr string, rng *rand.Rand) {
	t.Helper()
	c := connect(t, addr)
	for _, err := range h.wrong {
		t.Error(err)
	}
	h.wrong = nil
	for _, step := range []func(){
		func() { h.checkPresent(t, look(t, c, h)) },
		func() { h.settle(t, c) },
		func() { h.retrySome(t, c, rng) },
		func() { h.retryRefused(t, c) },
		func() { h.checkExact(t, look(t, c, h)) },
	} {
		if step(); t.Failed() { // what follows a first wrong answer is noise
			t.FailNow()
		}
	}
}

// checkPresent wants every acknowledged batch present or overwritten by a higher
// version, and what is seen to be of somebody who may have been successful.
func (h *history) checkPresent(t *testing.T, seen map[int]sight) {
	t.Helper()
	newest := h.newest()
	for group, s := range seen {
		if err := h.refused[s.stamp]; err != nil {
			t.Errorf("group %d shows batch %s, which was refused: %v", group, s.stamp, err)
		}
		if b := newest[group]; b != nil && s.version < b.at(group) {
			t.Errorf("group %d shows version %d (%s), and batch %s was acknowledged with %d", group, s.version, s.stamp, b.id, b.at(group))
		}
		if b := h.batches[s.stamp]; b != nil && b.version != 0 && b.at(group) != s.version {
			t.Errorf("group %d shows batch %s with version %d, and it was acknowledged with %d", group, b.id, s.version, b.at(group))
		}
	}
}

// settle sends every batch of unknown outcome again, the same bytes with the
// same ID. It was either applied before, as one may see, or is applied by this.
func (h *history) settle(t *testing.T, c *client.Client) {
	t.Helper()
	for _, b := range h.unknown {
		before := lookAt(t, c, h, b.groups)
		result, err := b.send(t.Context(), c)
		if unmet(err) {
			h.refuse(b, err)
			h.checkPresent(t, before)
			continue
		}
		if err != nil {
			t.Errorf("settle batch %s: %v", b.id, err)
			continue
		}
		if !h.take(b, result) {
			t.Errorf("batch %s was settled in part: %+v", b.id, result)
			continue
		}
		for _, group := range b.groups {
			switch s := before[group]; {
			case s.stamp == string(b.id) && (!result.Replayed || s.version != b.at(group)):
				t.Errorf("group %d showed batch %s with version %d, and its retry answers %+v", group, b.id, s.version, result)
			case result.Replayed && b.parts == nil && s.version < b.version: // of parts it may be another
				t.Errorf("batch %s was applied with version %d, its retry says, and group %d shows version %d", b.id, b.version, group, s.version)
			}
		}
		for _, group := range b.groups {
			if s := before[group]; !result.Replayed && s.version >= b.at(group) {
				t.Errorf("batch %s was applied with version %d when group %d showed %d already", b.id, b.at(group), group, s.version)
			}
		}
	}
	h.unknown = nil
}

// retries bounds how many acknowledged batches are sent again.
const retries = 120

// retrySome sends acknowledged batches again, the newest and some of any age:
// the answer is the first one.
func (h *history) retrySome(t *testing.T, c *client.Client, rng *rand.Rand) {
	t.Helper()
	var again []*batch
	for i := range min(retries, len(h.acked)) {
		if i%2 == 0 {
			again = append(again, h.acked[len(h.acked)-1-i/2])
		} else {
			again = append(again, h.acked[rng.IntN(len(h.acked))])
		}
	}
	var callers sync.WaitGroup
	limit := make(chan struct{}, eight.writers)
	for _, b := range again {
		limit <- struct{}{}
		callers.Go(func() {
			defer func() { <-limit }()
			if err := retry(t.Context(), c, b); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
}

// retryRefused sends some batches again that their conditions had refused: so they are for ever.
func (h *history) retryRefused(t *testing.T, c *client.Client) {
	t.Helper()
	left := retries / 4
	for stamp, first := range h.refused {
		if !unmet(first) {
			continue
		}
		if left--; left < 0 {
			return
		}
		if result, err := h.batches[stamp].send(t.Context(), c); !unmet(err) {
			t.Errorf("batch %s was refused (%v), and its retry answers %+v, %v", stamp, first, result, err)
		}
	}
}

func retry(ctx context.Context, c *client.Client, b *batch) error {
	result, err := b.send(ctx, c)
	switch {
	case err != nil:
		return fmt.Errorf("retry batch %s: %w", b.id, err)
	case !result.Replayed || result.Version != b.version:
		return fmt.Errorf("batch %s was acknowledged with version %d, and its retry answers %+v", b.id, b.version, result)
	}
	return nil
}

// checkExact wants every group to show exactly the newest of its batches, now
// that the outcome of each is known, and no version to be given to a key twice.
func (h *history) checkExact(t *testing.T, seen map[int]sight) {
	t.Helper()
	newest := h.newest()
	for group, s := range seen {
		want := sight{}
		if b := newest[group]; b != nil {
			want = sight{stamp: string(b.id), version: b.at(group)}
		}
		if s != want {
			t.Errorf("group %d shows %+v, want %+v", group, s, want)
		}
	}
	type of struct {
		group   int
		version uint64
	}
	owner := make(map[of]*batch)
	for _, b := range h.acked {
		for _, group := range b.groups {
			if other := owner[of{group, b.at(group)}]; other != nil {
				t.Errorf("batches %s and %s both wrote group %d with version %d", other.id, b.id, group, b.at(group))
			}
			owner[of{group, b.at(group)}] = b
		}
	}
}
