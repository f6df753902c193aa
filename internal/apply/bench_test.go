package apply

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// mapState is a state in one map, with the space as the first byte of a key.
type mapState struct {
	meta   store.Meta
	values map[string][]byte
}

func (s *mapState) Meta() store.Meta { return s.meta }

func (s *mapState) Get(space store.Space, key []byte) ([]byte, bool, error) {
	var name [64]byte
	value, ok := s.values[string(append(append(name[:0], byte(space)), key...))]
	return value, ok, nil
}

func (s *mapState) DueKeys(prefix []byte, visit func(key []byte) bool) error {
	due := string(append([]byte{byte(store.Due)}, prefix...))
	var keys []string
	for key := range s.values {
		if strings.HasPrefix(key, due) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !visit([]byte(key[1:])) {
			return nil
		}
	}
	return nil
}

func (s *mapState) run(m *store.Mutations) {
	s.meta = m.Meta
	for _, op := range m.Ops {
		key := string(append([]byte{byte(op.Space)}, op.Key...))
		if op.Delete {
			delete(s.values, key)
			continue
		}
		s.values[key] = append(append([]byte(nil), op.Head...), op.Value...)
	}
}

// BenchmarkApply applies a batch to a state in which its keys are already. The
// state stays as it is: what a store does with the mutations is the store's.
//
// A plain batch reads nothing but its request ID; conditions read every key; a
// batch that is known is answered with the ETag it had.
func BenchmarkApply(b *testing.B) {
	const issuedMS = 0x01890a5dac96 // of the request ID
	for _, kind := range []string{"plain", "ttl", "if_version", "if_match", "replayed"} {
		b.Run(fmt.Sprintf("kind=%s/entries=1000/value=128B", kind), func(b *testing.B) {
			first := benchCommand(b, "v7-01890a5d-ac96-774b-bcce-b302099a8057", issuedMS, wire.Entry{})
			state := &mapState{values: make(map[string][]byte)}
			out := &store.Mutations{}
			committed, err := Apply(first, 1, 1, state, out)
			if err != nil || committed.Refused != nil {
				b.Fatal(err, committed.Refused)
			}
			state.run(out)

			like := wire.Entry{}
			switch kind {
			case "ttl":
				like.TTLMS = 60_000
			case "if_version":
				like.HasIfVersion, like.IfVersion = true, committed.Version
			}
			cmd := first
			if kind != "replayed" {
				cmd = benchCommand(b, "v7-01890a5d-ac96-774b-bcce-b302099a8058", issuedMS, like)
			}
			if kind == "if_match" {
				cmd.IfMatch = wire.Match{Set: true, Tags: []wire.ETagSum{committed.ETag}}
			}
			b.ReportAllocs()
			for b.Loop() {
				result, err := Apply(cmd, 2, 1, state, out)
				if err != nil || result.Refused != nil || result.Replayed != (kind == "replayed") {
					b.Fatalf("%+v, %v", result, err)
				}
			}
		})
	}
}

func benchCommand(b *testing.B, id string, nowMS uint64, like wire.Entry) *wire.Command {
	b.Helper()
	var raw []byte
	like.Value = make([]byte, 128)
	for i := range 1000 {
		like.Key = fmt.Appendf(nil, "key-%028d", i)
		raw = wire.AppendEntry(raw, &like)
	}
	entries, err := wire.ParseEntries(raw, sheaf.DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	return &wire.Command{
		Kind: wire.Fast, NowMS: nowMS, RetentionMS: 600_000, MaxRows: 1 << 20, RequestID: id,
		Fingerprint: wire.FingerprintOf(entries, sheaf.Linearizable), Entries: entries,
	}
}
