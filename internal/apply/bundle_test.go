package apply

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// bundleOf is a command under an ID; its keys may repeat.
func bundleOf(t fataler, id string, entries ...wire.Entry) wire.Command {
	var raw []byte
	for i := range entries {
		raw = wire.AppendEntry(raw, &entries[i])
	}
	parsed, err := wire.ParseBundle(raw, sheaf.DefaultLimits())
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return wire.Command{Kind: wire.Bundle, RequestID: id, Entries: parsed, Fingerprint: wire.BundleFingerprint(parsed, sheaf.Linearizable)}
}

type fataler interface{ Fatalf(string, ...any) }

func key(name string) wire.Entry { return wire.Entry{Key: []byte(name), Value: []byte("v")} }

func ifVersion(name string, version uint64) wire.Entry {
	return wire.Entry{Key: []byte(name), Value: []byte("c"), HasIfVersion: true, IfVersion: version}
}

// TestABundleIsItsEntriesOneByOne: one machine gets bundles, another each of their entries as a
// batch of its own. They answer the same and have the same keys.
func TestABundleIsItsEntriesOneByOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		together, alone := newMachine(t), newMachine(t)
		defer together.store.Close() //nolint:errcheck // of a map
		defer alone.store.Close()    //nolint:errcheck // of a map
		names := []string{"a", "b", "c", "d"}
		now, made := uint64(1000), 0
		rt.Repeat(map[string]func(*rapid.T){
			"bundle": func(t *rapid.T) {
				made++
				var entries []wire.Entry
				for n := range rapid.IntRange(1, 8).Draw(t, "entries") {
					e := wire.Entry{Key: []byte(rapid.SampledFrom(names).Draw(t, "key")), Value: fmt.Appendf(nil, "%d.%d", made, n)}
					switch rapid.SampledFrom([]string{"put", "put", "delete", "ttl", "type"}).Draw(t, "kind") {
					case "delete":
						e.Value, e.Delete = nil, true
					case "ttl":
						e.TTLMS = rapid.Int64Range(1, 3000).Draw(t, "ttl")
					case "type":
						e.TypeURL = []byte("t")
					}
					if rapid.Bool().Draw(t, "conditional") {
						e.HasIfVersion = true
						highest := int(alone.meta().Clock) + n
						e.IfVersion = uint64(rapid.OneOf(rapid.IntRange(0, highest), rapid.IntRange(max(0, highest-3), highest), rapid.Just(0)).Draw(t, "if_version"))
					}
					entries = append(entries, e)
				}
				cmd := bundleOf(t, fmt.Sprintf("id-%d", made), entries...)
				cmd.After = rapid.Uint64Range(0, 3).Draw(t, "after") + together.meta().Clock
				result := together.at(now, cmd)
				checkOps(t, together.out.Ops)
				if result.Refused != nil || result.Replayed || result.Version == 0 {
					t.Fatalf("%+v", result)
				}
				version := result.Version
				for i, e := range entries {
					one := alone.at(now, wire.Command{Kind: wire.Fast, After: cmd.After, Entries: wire.Canonical(wire.AppendEntry(nil, &e))})
					switch {
					case result.Without.Has(i) != (one.Refused != nil):
						t.Fatalf("entry %d: refused %v, alone %v", i, result.Without.Has(i), one.Refused)
					case one.Refused != nil:
					case one.Version != version:
						t.Fatalf("entry %d: version %d, alone %d", i, version, one.Version)
					default:
						version++
					}
				}
				if again := together.at(now, cmd); !again.Replayed || again.Version != result.Version || !cmp.Equal(again.Without, result.Without) {
					t.Fatalf("the retry is told %+v, and the first %+v", again, result)
				}
			},
			"time": func(t *rapid.T) { now += rapid.Uint64Range(1, 400).Draw(t, "ms") },
			"tick": func(*rapid.T) {
				together.at(now, wire.Command{Kind: wire.Tick})
				alone.at(now, wire.Command{Kind: wire.Tick})
			},
			"": func(t *rapid.T) {
				for _, name := range names {
					got, want := together.record(name), alone.record(name)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("key %s: %s", name, diff)
					}
				}
				got, want := together.meta(), alone.meta()
				if got.Clock != want.Clock || got.Floor != want.Floor {
					t.Fatalf("clock %d floor %d, alone %d and %d", got.Clock, got.Floor, want.Clock, want.Floor)
				}
			},
		})
	})
}

// record is what the state has under a key.
func (m *machine) record(name string) (record wire.Record) {
	m.look(func(state State) error {
		data, ok, err := state.Get(store.Data, []byte(name))
		if err != nil || !ok {
			return err
		}
		record, err = wire.DecodeRecord(append([]byte(nil), data...))
		return err
	})
	return record
}

func checkOps(t fataler, ops []store.Op) {
	seen := make(map[string]bool)
	for _, op := range ops {
		name := fmt.Sprintf("%d/%s", op.Space, op.Key)
		if seen[name] {
			t.Fatalf("key %q is in two ops", name)
		}
		seen[name] = true
	}
}

func TestACloseLookAtOneBundle(t *testing.T) {
	m := newMachine(t)
	m.at(10, bundleOf(t, "before", key("a")))
	result := m.at(10, bundleOf(t, "x",
		key("b"),
		ifVersion("a", 7), // it has 1
		ifVersion("a", 1), // 3
		ifVersion("a", 3), // sees the one before
		wire.Entry{Key: []byte("a"), Delete: true}, // 5
		ifVersion("a", 0),                          // it is gone
		ifVersion("b", 0),                          // it is there
	))
	if diff := cmp.Diff(Result{Version: 2, Without: wire.Positions{1<<1 | 1<<6}}, result); diff != "" {
		t.Error(diff)
	}
	if a, b := m.record("a"), m.record("b"); a.Version != 6 || string(a.Value) != "c" || b.Version != 2 {
		t.Errorf("%+v, %+v", a, b)
	}
}

// TestAnIDIsOneBundle: other entries, other conditions and a batch of the same entries are
// refused under it, and so is a bundle under the ID of a batch.
func TestAnIDIsOneBundle(t *testing.T) {
	m := newMachine(t)
	m.at(10, bundleOf(t, "x", ifVersion("a", 7)))
	asBatch := bundleOf(t, "x", ifVersion("a", 7))
	asBatch.Kind, asBatch.Fingerprint = wire.Fast, wire.FingerprintOf(asBatch.Entries, sheaf.Linearizable)
	m.at(10, wire.Command{Kind: wire.Fast, RequestID: "batch", Entries: batch("a"), Fingerprint: wire.FingerprintOf(batch("a"), sheaf.Linearizable)})
	for name, cmd := range map[string]wire.Command{
		"other entries":    bundleOf(t, "x", key("b")),
		"other conditions": bundleOf(t, "x", ifVersion("a", 0)),
		"a batch":          asBatch,
		"a batch's ID":     bundleOf(t, "batch", key("a")),
	} {
		clock := m.meta().Clock
		if r := m.at(10, cmd); r.Refused == nil || r.Refused.Code != sheaf.RequestIDReused || m.meta().Clock != clock {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := m.at(10, bundleOf(t, "x", ifVersion("a", 7))); !r.Replayed || !r.Without.Has(0) {
		t.Errorf("the refusal of the only entry is forgotten: %+v", r)
	}
}

// TestABundleIsRefusedAsAWhole for what does not depend on an entry, and then does nothing.
func TestABundleIsRefusedAsAWhole(t *testing.T) {
	m := newMachine(t)
	prepare := wire.Command{
		Kind: wire.Prepare, RequestID: "holder", Attempt: 3, HomeKey: []byte("home"), DeadlineMS: 500, Entries: batch("held"),
	}
	m.at(10, prepare)
	if r := m.at(10, bundleOf(t, "x", key("a"), key("held"))); r.Outcome != Conflict || string(r.Holder.HomeKey) != "home" || r.Holder.Attempt != 3 {
		t.Errorf("%+v", r)
	}
	late := bundleOf(t, "x", key("a"))
	late.DeadlineMS = 5
	if r := m.at(10, late); r.Refused == nil || r.Refused.Code != sheaf.NotProposed {
		t.Errorf("%+v", r)
	}
	if r := m.at(100_000, bundleOf(t, v7(10, 1), key("a"))); r.Refused == nil || r.Refused.Code != sheaf.RequestIDExpired {
		t.Errorf("%+v", r)
	}
	far := bundleOf(t, "x", key("a"))
	far.After = 1 << 40
	if r := m.at(100_000, far); r.Refused == nil || r.Refused.Code != sheaf.InvalidBatch {
		t.Errorf("%+v", r)
	}
	if m.meta().Clock != 0 || m.meta().Rows != 0 || m.record("a").Version != 0 {
		t.Errorf("%+v", m.meta())
	}
	m.at(100_000, wire.Command{Kind: wire.Resolve, RequestID: "holder", Attempt: 3})
	if r := m.at(100_000, bundleOf(t, "x", key("a"), key("held"))); r.Version != 1 || r.Outcome != Answered {
		t.Errorf("%+v", r)
	}
}
