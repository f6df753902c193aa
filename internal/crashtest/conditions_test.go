package crashtest

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// condition is what a batch asks of its keys: that they are as they were read.
type condition struct {
	versions []uint64 // of the batch's groups, in their order
	etag     sheaf.ETag
	byETag   bool // instead of if_version on each entry
}

// require reads a batch's keys and has it depend on them. Without an answer it depends on nothing.
func (b *batch) require(c *client.Client, byETag bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var keys [][]byte
	for _, group := range b.groups {
		keys = append(keys, keysOf(group)...)
	}
	values, err := c.GetAll(ctx, keys, client.WithoutRetry())
	if err != nil {
		return
	}
	b.condition = &condition{etag: values.ETag, byETag: byETag}
	for i := range b.groups {
		b.condition.versions = append(b.condition.versions, values.Items[i*keysPerGroup].Version)
	}
}

// unmet says that a batch was refused by its condition, which is for ever.
func unmet(err error) bool {
	code := sheaf.CodeOf(err)
	return code == sheaf.VersionMismatch || code == sheaf.ETagMismatch
}

// checkConditions holds the answers to batches with a condition against the versions of their
// groups, now that the outcome of each batch is known: one that was applied comes right after the
// versions that it asked for, and for one that was refused somebody had overwritten them.
// Batches that were kept from before have been held against it when their neighbours were known.
func (h *history) checkConditions(t *testing.T) {
	t.Helper()
	of := h.byVersion()
	for _, b := range h.acked[h.kept:] {
		if b.condition == nil {
			continue
		}
		h.applied++
		for i, group := range b.groups {
			var before uint64
			if at := slices.Index(of[group], b); at > 0 {
				before = of[group][at-1].at(group)
			}
			if want := b.condition.versions[i]; before != want {
				t.Errorf("batch %s was applied on condition that group %d has version %d, and it had %d", b.id, group, want, before)
			}
		}
	}
	for stamp, err := range h.refused {
		if b := h.batches[stamp]; unmet(err) && !h.overtaken(b, of) {
			t.Errorf("batch %s was refused, and nobody had written its groups %v after their versions %v: %v", b.id, b.groups, b.condition.versions, err)
		}
	}
}

// overtaken says whether a group that a batch depends on was written, by a batch that began before
// it was refused, after it was read.
func (h *history) overtaken(b *batch, of map[int][]*batch) bool {
	for i, group := range b.groups {
		for _, other := range of[group] {
			if other.at(group) > b.condition.versions[i] && other.number <= b.refusedAt {
				return true
			}
		}
	}
	return false
}

// byVersion are the acknowledged batches of each group, in the order of their versions.
func (h *history) byVersion() map[int][]*batch {
	of := make(map[int][]*batch)
	for _, b := range h.acked {
		for _, group := range b.groups {
			of[group] = append(of[group], b)
		}
	}
	for group, batches := range of {
		slices.SortFunc(batches, func(a, b *batch) int { return cmp.Compare(a.at(group), b.at(group)) })
	}
	return of
}
