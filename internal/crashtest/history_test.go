package crashtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/zeebo/xxh3"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/router"
)

// The keys: every batch writes whole groups, so a group always shows one stamp.
// There are few of them, so that batches overwrite each other's keys in part.
const (
	keyGroups    = 24
	keysPerGroup = 4
)

// keysOf are a group's keys. Where a cluster has several replica groups, every third group of
// keys is in one of them, and the keys of the others are anywhere.
func keysOf(group int) [][]byte {
	keys, form := make([][]byte, keysPerGroup), "group-%02d/key-%d"
	if group%3 == 2 {
		form = "{group-%02d}/key-%d"
	}
	for i := range keys {
		keys[i] = fmt.Appendf(nil, form, group, i)
	}
	return keys
}

// batch is one PutAll. Its bytes follow from its fields, so that a retry can
// send the same ones without keeping them.
type batch struct {
	id         sheaf.RequestID
	groups     []int
	valueBytes int
	version    uint64 // of the answer; 0 while there is none
	level      sheaf.Consistency
	parts      map[int]uint64 // versions of the groups, of a batch that has several; see at
	// least are the largest versions acknowledged for its groups before it began.
	least     []uint64
	condition *condition // nil if it depends on nothing
	number    int        // of all that were begun
	refusedAt int        // the number of the last that had begun when it was refused
}

// stampOf is the batch that wrote a value, by its request ID.
func stampOf(value []byte) string {
	stamp, _, _ := strings.Cut(string(value), " ")
	return stamp
}

// value is the stamp and then bytes that no store can compress.
func (b *batch) value() []byte {
	value := fmt.Appendf(make([]byte, 0, b.valueBytes+64), "%s ", b.id)
	noise := rand.NewPCG(xxh3.HashString(string(b.id)), 0)
	for len(value) < b.valueBytes {
		value = binary.LittleEndian.AppendUint64(value, noise.Uint64())
	}
	return value
}

func (b *batch) entries() []sheaf.Entry {
	var entries []sheaf.Entry
	value := b.value()
	for _, group := range b.groups {
		for _, key := range keysOf(group) {
			entries = append(entries, sheaf.Put(key, value))
		}
	}
	return entries
}

// send writes the batch: the same bytes under the same conditions at the same level, however often.
func (b *batch) send(ctx context.Context, c *client.Client, options ...client.WriteOption) (client.Result, error) {
	entries, options := b.entries(), append(options, client.WithRequestID(b.id), client.At(b.level))
	switch on := b.condition; {
	case on != nil && on.byETag:
		options = append(options, client.IfMatch(on.etag))
	case on != nil:
		for i := range entries {
			entries[i] = entries[i].OnlyIfVersion(on.versions[i/keysPerGroup])
		}
	}
	return c.PutAll(ctx, entries, options...)
}

// history is what the callers know. Its methods may be called by all writers at
// once.
type history struct {
	mu   sync.Mutex
	made int
	// groups is how many there are: keyGroups, and those that were added.
	groups  int
	batches map[string]*batch // all that were ever sent, by stamp
	// acked is in the order of the answers, but for the first forgotten ones.
	acked     []*batch
	forgotten int
	kept      int // the first of acked, which are left of earlier rounds
	severed   int // batches in several parts
	applied   int // batches with a condition
	unmet     int // batches that were refused by theirs
	// top is for each group the largest version acknowledged.
	top map[int]uint64
	// shown is what readers saw since the last verdict.
	shown []shown
	// table says which keys are in one replica group; by default all are.
	table router.Table
	// strict wants versions to agree with real time. It is for histories of which nothing is
	// taken back.
	strict bool
	// unknown have to be settled by a retry.
	unknown []*batch
	// refused were answered with "did nothing": they must never be seen.
	refused  map[string]error
	refusals int // that were forgotten
	// wrong are answers that no crash explains.
	wrong []error
}

func newHistory() *history {
	return &history{groups: keyGroups, batches: make(map[string]*batch), top: make(map[int]uint64), refused: make(map[string]error)}
}

// begin makes a batch. Every second ID is opaque, because the rows of the two
// kinds are kept apart.
func (h *history) begin(groups []int, valueBytes int) *batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made++
	id := "opaque-" + uuid.NewString()
	if h.made%2 == 0 {
		id = "v7-" + uuid.Must(uuid.NewV7()).String()
	}
	b := &batch{id: sheaf.RequestID(id), groups: groups, valueBytes: valueBytes, number: h.made}
	for _, group := range groups {
		b.least = append(b.least, h.top[group])
	}
	h.batches[id] = b
	return b
}

// addGroup makes a group that nobody else writes to, so that data grows.
func (h *history) addGroup() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.groups++
	return h.groups - 1
}

func (h *history) acknowledge(b *batch, version uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b.version = version
	h.acked = append(h.acked, b)
	for i, group := range b.groups {
		if h.strict && b.at(group) <= b.least[i] {
			h.wrong = append(h.wrong, fmt.Errorf("batch %s was acknowledged with version %d, and its group %d had version %d before it began", b.id, b.at(group), group, b.least[i]))
		}
		h.top[group] = max(h.top[group], b.at(group))
	}
}

// fail sorts an error by what the error table says is true of the batch.
func (h *history) fail(b *batch, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	row, known := sheaf.CodeOf(err).Row()
	switch {
	case !known || row.Code == sheaf.Internal || row.Code == sheaf.Corruption || row.Retry == sheaf.RetryNever:
		h.wrong = append(h.wrong, fmt.Errorf("batch %s: %w", b.id, err))
		h.unknown = append(h.unknown, b)
	case row.Outcome == sheaf.Unknown:
		h.unknown = append(h.unknown, b)
	default:
		h.refuse(b, err)
	}
}

// refuse notes that a batch did nothing and never will. h.mu is held, or nobody else is there.
func (h *history) refuse(b *batch, err error) {
	h.refused[string(b.id)] = err
	b.refusedAt = h.made
	if unmet(err) {
		h.unmet++
	}
}

// ackedCount is also a moment: see demote.
func (h *history) ackedCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.forgotten + len(h.acked)
}

// forget lets go of what every node has been held against, so that a long run needs no more
// memory than a short one: of the acknowledged batches it keeps the newest of each group and
// some that are sent again later. Who shows another from here on shows what nobody wrote.
func (h *history) forget(rng *rand.Rand, some int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	keep := make(map[*batch]bool)
	for _, b := range h.newest() {
		keep[b] = true
	}
	for range some {
		keep[h.acked[rng.IntN(len(h.acked))]] = true
	}
	before := len(h.acked)
	h.acked = slices.Clip(slices.DeleteFunc(h.acked, func(b *batch) bool { return !keep[b] }))
	h.forgotten += before - len(h.acked)
	h.kept = len(h.acked)
	h.refusals += len(h.refused)
	clear(h.refused)
	h.batches = make(map[string]*batch)
	for _, b := range h.acked {
		h.batches[string(b.id)] = b
	}
}

// demote takes back every acknowledgement after a moment. Power that fails at
// that moment takes the later answers with it; what they said does not count.
func (h *history) demote(moment int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.acked[moment:] {
		b.version = 0
		h.unknown = append(h.unknown, b)
	}
	h.acked = slices.Clip(h.acked[:moment])
}

// newest is for each group the acknowledged batch with the largest version.
func (h *history) newest() map[int]*batch {
	newest := make(map[int]*batch)
	for _, b := range h.acked {
		for _, group := range b.groups {
			if newest[group] == nil || newest[group].at(group) < b.at(group) {
				newest[group] = b
			}
		}
	}
	return newest
}
