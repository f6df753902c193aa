package group

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// model is what a group must be indistinguishable from: a map, and a map of
// what each request ID was answered.
type model struct {
	rig   *rig
	keys  map[string]modelKey
	sent  []*modelBatch
	clock uint64
	made  int

	bundles []*modelBundle
}

type modelKey struct {
	value   string
	version uint64
	expiry  int64
}

// modelBatch is one batch under one request ID, with what became of it.
type modelBatch struct {
	id      string
	entries []wire.Entry // without conditions
	version uint64       // 0 until committed
	refused map[uint64]bool
}

var modelKeys = []string{"a", "b", "c", "d", "e"}

func (m *model) live(key string) (modelKey, bool) {
	k, ok := m.keys[key]
	return k, ok && (k.expiry == 0 || k.expiry > m.rig.nowMS.Load())
}

func (m *model) etag(keys ...string) wire.ETagSum {
	var sum wire.ETagSum
	for _, key := range keys {
		if k, ok := m.live(key); ok {
			sum.AddKey([]byte(key), k.version)
		}
	}
	return sum
}

func keysOf(entries []wire.Entry) (keys []string) {
	for _, e := range entries {
		keys = append(keys, string(e.Key))
	}
	return keys
}

// write sends a batch, new or again, with conditions drawn afresh.
func (m *model) write(t *rapid.T, batch *modelBatch) {
	entries := slices.Clone(batch.entries)
	keys := keysOf(entries)
	var ifMatch, ifNoneMatch wire.Match
	holds := true
	switch rapid.SampledFrom([]string{"none", "none", "etag", "stale", "star", "none star", "version"}).Draw(t, "condition") {
	case "etag":
		ifMatch = wire.Match{Set: true, Tags: []wire.ETagSum{m.etag(keys...)}}
	case "stale":
		ifMatch, holds = wire.Match{Set: true, Tags: []wire.ETagSum{{Hi: 1, Lo: 2}}}, false
	case "star":
		ifMatch = wire.Match{Set: true, Star: true}
		for _, key := range keys {
			_, ok := m.live(key)
			holds = holds && ok
		}
	case "none star":
		ifNoneMatch = wire.Match{Set: true, Star: true}
		for _, key := range keys {
			_, ok := m.live(key)
			holds = holds && !ok
		}
	case "version":
		version := rapid.Uint64Range(0, m.clock).Draw(t, "if_version")
		entries[0].HasIfVersion, entries[0].IfVersion = true, version
		k, ok := m.live(keys[0])
		holds = ok && k.version == version || !ok && version == 0
	}
	cmd := m.rig.command(batch.id, entries...)
	cmd.IfMatch, cmd.IfNoneMatch = ifMatch, ifNoneMatch
	condition := wire.ConditionHash(cmd.Entries, ifMatch, ifNoneMatch)
	result, _, err := m.rig.group.Propose(context.Background(), cmd)
	if err != nil {
		t.Fatalf("propose: %v", err)
	}
	switch {
	case batch.version != 0:
		if !result.Replayed || result.Version != batch.version {
			t.Fatalf("retry of %s: got %+v, want a replay of version %d", batch.id, result, batch.version)
		}
	case batch.id != "" && batch.refused[condition] || len(batch.refused) >= wire.MaxRefused || !holds:
		if result.Refused == nil {
			t.Fatalf("a batch whose condition fails was applied: %+v", result)
		}
		if batch.id != "" && len(batch.refused) < wire.MaxRefused {
			batch.refused[condition] = true
		}
	default:
		if result.Refused != nil || result.Replayed || result.Version <= m.clock {
			t.Fatalf("got %+v (%v), want a version above %d", result, result.Refused, m.clock)
		}
		m.commit(batch, result.Version)
		if want := m.etag(keys...); result.ETag != want {
			t.Fatalf("answered ETag %v, want %v", result.ETag, want)
		}
	}
}

func (m *model) commit(batch *modelBatch, version uint64) {
	m.clock = version
	if batch.id != "" {
		batch.version = version
	}
	for _, e := range batch.entries {
		if e.Delete {
			delete(m.keys, string(e.Key))
			continue
		}
		k := modelKey{value: string(e.Value), version: version}
		if e.TTLMS != 0 {
			k.expiry = m.rig.nowMS.Load() + e.TTLMS
		}
		m.keys[string(e.Key)] = k
	}
}

// TestGroupBehavesLikeAMap draws random batches, conditions, retries, clock
// steps, restarts and crashes.
func TestGroupBehavesLikeAMap(t *testing.T) {
	for _, kind := range []string{"memory", "syncmap", "pebble"} {
		t.Run("store="+kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkModel(t, kind) })
		})
	}
}

func checkModel(t *rapid.T, kind string) {
	m := &model{rig: newRig(t, kind), keys: map[string]modelKey{}}
	defer m.rig.close()
	eager, lazy := &follower{eager: true}, &follower{}
	t.Repeat(map[string]func(*rapid.T){
		"batch": func(t *rapid.T) {
			m.made++
			batch := &modelBatch{refused: map[uint64]bool{}}
			switch rapid.SampledFrom([]string{"v7", "opaque", "none"}).Draw(t, "id") {
			case "v7":
				batch.id = m.rig.v7(0)
			case "opaque":
				batch.id = fmt.Sprintf("id-%d", m.made)
			}
			keys := rapid.SliceOfNDistinct(rapid.SampledFrom(modelKeys), 1, 4, rapid.ID[string]).Draw(t, "keys")
			for _, key := range keys {
				e := put(key, fmt.Sprintf("%s-%d", key, m.made))
				switch rapid.SampledFrom([]string{"put", "put", "delete", "ttl"}).Draw(t, "kind") {
				case "delete":
					e.Value, e.Delete = nil, true
				case "ttl":
					e.TTLMS = rapid.Int64Range(1, 5000).Draw(t, "ttl")
				}
				batch.entries = append(batch.entries, e)
			}
			m.write(t, batch)
			if batch.id != "" {
				m.sent = append(m.sent, batch)
			}
		},
		"retry": func(t *rapid.T) {
			if len(m.sent) == 0 {
				t.Skip("nothing was sent")
			}
			m.write(t, rapid.SampledFrom(m.sent).Draw(t, "batch"))
		},
		"bundle":       m.writeBundle,
		"retry bundle": m.retryBundle,
		"reuse": func(t *rapid.T) {
			if len(m.sent) == 0 {
				t.Skip("nothing was sent")
			}
			batch := rapid.SampledFrom(m.sent).Draw(t, "batch")
			if batch.version == 0 && len(batch.refused) == 0 {
				t.Skip("leaves no row")
			}
			result, _, err := m.rig.group.Propose(context.Background(), m.rig.command(batch.id, put("other", "x")))
			if err != nil || result.Refused == nil || result.Refused.Code != sheaf.RequestIDReused {
				t.Fatalf("another batch under %s: %+v, %v", batch.id, result, err)
			}
		},
		"pass time": func(t *rapid.T) {
			m.rig.nowMS.Add(rapid.Int64Range(1, 3000).Draw(t, "ms"))
			// A command carries the time into the group, as a Tick would.
			batch := &modelBatch{entries: []wire.Entry{put("clock", "x")}}
			m.commit(batch, m.rig.commit(m.rig.command("", batch.entries...)))
		},
		"flush": func(t *rapid.T) {
			durable, err := m.rig.store.Flush()
			if err == nil {
				err = m.rig.log.Cut(1, durable)
			}
			if err != nil {
				t.Fatalf("flush and cut: %v", err)
			}
		},
		"restart": func(*rapid.T) { m.rig.close(); m.rig.open() },
		"crash":   func(*rapid.T) { m.rig.crash() },
		"watch":   func(t *rapid.T) { m.follow(t, lazy) },
		"": func(t *rapid.T) {
			m.follow(t, eager)
			names := append(slices.Collect(maps.Keys(m.keys)), modelKeys...)
			for _, key := range names {
				value, version := m.rig.get(key)
				want, ok := m.live(key)
				if !ok {
					want = modelKey{}
				}
				if value != want.value || version != want.version {
					t.Fatalf("key %q: %q at version %d, want %q at %d", key, value, version, want.value, want.version)
				}
			}
		},
	})
}
