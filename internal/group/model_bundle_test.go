package group

import (
	"context"
	"fmt"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// modelBundle is one bundle, with what became of each entry.
type modelBundle struct {
	id      string
	entries []wire.Entry
	version uint64
	without wire.Positions
}

// bundle is a command whose keys may repeat.
func (r *rig) bundle(id string, entries ...wire.Entry) *wire.Command {
	r.t.Helper()
	var raw []byte
	for i := range entries {
		raw = wire.AppendEntry(raw, &entries[i])
	}
	parsed, err := wire.ParseBundle(raw, r.limits)
	if err != nil {
		r.t.Fatalf("parse a bundle: %v", err)
	}
	return &wire.Command{
		Kind: wire.Bundle, RequestID: id, Entries: parsed, Fingerprint: wire.BundleFingerprint(parsed, sheaf.Linearizable),
	}
}

// writeBundle sends a new bundle, of which every entry does what it would do alone.
func (m *model) writeBundle(t *rapid.T) {
	m.made++
	bundle := &modelBundle{id: m.rig.v7(0)}
	for n := range rapid.IntRange(1, 6).Draw(t, "entries") {
		e := put(rapid.SampledFrom(modelKeys).Draw(t, "key"), fmt.Sprintf("%d.%d", m.made, n))
		switch rapid.SampledFrom([]string{"put", "put", "delete", "ttl"}).Draw(t, "kind") {
		case "delete":
			e.Value, e.Delete = nil, true
		case "ttl":
			e.TTLMS = rapid.Int64Range(1, 5000).Draw(t, "ttl")
		}
		if rapid.Bool().Draw(t, "conditional") {
			e.HasIfVersion, e.IfVersion = true, rapid.Uint64Range(0, m.clock+uint64(n)).Draw(t, "if_version")
		}
		bundle.entries = append(bundle.entries, e)
	}
	result, _, err := m.rig.group.Propose(context.Background(), m.rig.bundle(bundle.id, bundle.entries...))
	if err != nil || result.Refused != nil || result.Replayed || result.Version <= m.clock {
		t.Fatalf("got %+v, %v, want versions above %d", result, err, m.clock)
	}
	bundle.version, bundle.without = result.Version, result.Without
	next := result.Version
	for i, e := range bundle.entries {
		k, ok := m.live(string(e.Key))
		holds := !e.HasIfVersion || ok && k.version == e.IfVersion || !ok && e.IfVersion == 0
		if holds == result.Without.Has(i) {
			t.Fatalf("entry %d of %d: refused %v, and its condition holds %v", i, len(bundle.entries), !holds, holds)
		}
		if holds {
			m.commit(&modelBatch{entries: []wire.Entry{e}}, next)
			next++
		}
	}
	m.bundles = append(m.bundles, bundle)
}

// retryBundle is told the same again, whatever happened since.
func (m *model) retryBundle(t *rapid.T) {
	if len(m.bundles) == 0 {
		t.Skip("no bundle was sent")
	}
	bundle := rapid.SampledFrom(m.bundles).Draw(t, "bundle")
	result, _, err := m.rig.group.Propose(context.Background(), m.rig.bundle(bundle.id, bundle.entries...))
	if err != nil || !result.Replayed || result.Version != bundle.version || !cmp.Equal(result.Without, bundle.without) {
		t.Fatalf("the retry of bundle %s: %+v, %v, want version %d without %x", bundle.id, result, err, bundle.version, bundle.without)
	}
}
