package group

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/feed"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/store/memory"
	"github.com/sheafdb/sheaf/internal/store/pebble"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/wire"
)

// failer is what both *testing.T and *rapid.T are.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// rig is one group over a crashable file system and a clock of its own.
type rig struct {
	t      failer
	fs     *vfs.MemFS
	kind   string
	limits sheaf.Limits
	logMax int64
	nowMS  atomic.Int64
	gate   *admission.Gate

	store   store.Store
	log     *wal.Log
	journal *Journal
	group   *Group
	feed    *feed.Feed
	lives   uint64
	// wrap, if not nil, puts something between the group and its store.
	wrap func(store.Store) store.Store
}

func newRig(t failer, kind string) *rig {
	r := &rig{t: t, fs: vfs.NewCrashableMem(), kind: kind, limits: sheaf.DefaultLimits(), logMax: 256 << 20, gate: admission.NewGate(1 << 30)}
	r.nowMS.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	r.open()
	return r
}

func (r *rig) now() time.Time { return time.UnixMilli(r.nowMS.Load()) }

func (r *rig) openStore() (store.Store, error) { return r.openStoreIn("store") }

func (r *rig) openStoreIn(dir string) (store.Store, error) {
	switch r.kind {
	case "pebble":
		cfg := pebble.DefaultConfig()
		cfg.FS, cfg.Dir, cfg.CacheBytes, cfg.RunBytes = r.fs, dir, 1<<20, 256<<10
		cfg.Fatal = func(err error) { panic(err) }
		return pebble.Open(cfg)
	case "memory":
		return memory.Open(memory.Config{FS: r.fs, Dir: dir, Table: memory.Sharded})
	}
	return memory.Open(memory.Config{FS: r.fs, Dir: dir, Table: memory.SyncMap})
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	if r.store, err = r.openStore(); err != nil {
		r.t.Fatalf("open store: %v", err)
	}
	if r.wrap != nil {
		r.store = r.wrap(r.store)
	}
	if err := Seed(r.store, []uint64{1}); err != nil {
		r.t.Fatalf("seed store: %v", err)
	}
	logger := slog.New(slog.DiscardHandler)
	r.feed = feed.New(feed.Config{Groups: 1, GroupOf: func([]byte) uint64 { return 1 }, Bytes: 1 << 20, Tag: "rig"})
	recovery := NewRecovery(1, r.store, 0, r.feed.Lane(1), logger)
	r.log, err = wal.Open(wal.Config{FS: r.fs, Dir: "log", SegmentBytes: 64 << 10, Found: recovery.Found, Logger: logger}, recovery.Visit)
	if err != nil {
		r.t.Fatalf("open log: %v", err)
	}
	saved, err := recovery.Saved(r.log)
	if err != nil {
		r.t.Fatalf("recover: %v", err)
	}
	r.journal = NewJournal(r.log, logger)
	r.lives++
	r.group, err = Start(context.Background(), Config{
		ID: 1, Replica: 1, Store: r.store, Log: r.log, Journal: r.journal, Saved: saved, Incarnation: r.lives,
		Limits: r.limits, LogBytes: r.logMax, Gate: r.gate, Feed: r.feed.Lane(1),
		Room: func() error { return nil }, Free: func() int64 { return -1 }, Now: r.now,
		Fatal:  func(err error) { panic(fmt.Sprintf("group failed: %v", err)) },
		Logger: logger,
	})
	if err != nil {
		r.t.Fatalf("start group: %v", err)
	}
}

// close stops everything in order, without a flush.
func (r *rig) close() {
	r.t.Helper()
	r.group.Stop()
	r.journal.Close()
	if err := r.log.Close(); err != nil {
		r.t.Fatalf("close log: %v", err)
	}
	if err := r.store.Close(); err != nil {
		r.t.Fatalf("close store: %v", err)
	}
	r.feed.Free()
}

// crash loses what was not synced and starts again.
func (r *rig) crash() {
	r.t.Helper()
	clone := r.fs.CrashClone(vfs.CrashCloneCfg{})
	r.close() // ends the goroutines; what they still write goes to the old disk
	r.fs = clone
	r.open()
}

func (r *rig) entries(entries ...wire.Entry) wire.Entries {
	r.t.Helper()
	var raw []byte
	for i := range entries {
		raw = wire.AppendEntry(raw, &entries[i])
	}
	parsed, err := wire.ParseEntries(raw, r.limits)
	if err != nil {
		r.t.Fatalf("parse entries: %v", err)
	}
	return parsed
}

func (r *rig) command(id string, entries ...wire.Entry) *wire.Command {
	parsed := r.entries(entries...)
	return &wire.Command{
		Kind: wire.Fast, RequestID: id, Entries: parsed,
		Fingerprint: wire.FingerprintOf(parsed, sheaf.Linearizable),
	}
}

// v7 makes a request ID issued at the rig's time plus an offset.
func (r *rig) v7(offset time.Duration) string {
	id := uuid.Must(uuid.NewV7())
	ms := uint64(r.nowMS.Load() + offset.Milliseconds())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return "v7-" + id.String()
}

func put(key, value string) wire.Entry { return wire.Entry{Key: []byte(key), Value: []byte(value)} }

// commit proposes and expects success.
func (r *rig) commit(cmd *wire.Command) uint64 {
	r.t.Helper()
	result, _, err := r.group.Propose(context.Background(), cmd)
	if err != nil || result.Refused != nil {
		r.t.Fatalf("propose: %v, refused: %v", err, result.Refused)
	}
	return result.Version
}

// get reads one key; version 0 is absent.
func (r *rig) get(key string) (value string, version uint64) {
	r.t.Helper()
	result, err := r.group.Read(context.Background(), ReadRequest{Keys: [][]byte{[]byte(key)}, MaxBytes: 1 << 20})
	if err != nil {
		r.t.Fatalf("read %q: %v", key, err)
	}
	return string(result.Items[0].Value), result.Items[0].Version
}

// waitUntil polls a condition that the group's own goroutines bring about.
func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("gave up waiting until %s", what)
		case <-tick.C:
		}
	}
}
