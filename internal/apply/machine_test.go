package apply

import (
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/store/memory"
	"github.com/sheafdb/sheaf/internal/wire"
)

// machine is a group's state and a log that is applied to it.
type machine struct {
	t *testing.T
	// retentionMS and maxRows are what its leader stamps.
	retentionMS, maxRows uint64

	store store.Store
	index uint64
	out   store.Mutations
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	s, err := memory.Open(memory.Config{FS: vfs.NewMem(), Dir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &machine{t: t, retentionMS: 1000, maxRows: 100, store: s}
}

// at applies a command that is stamped with a time.
func (m *machine) at(nowMS uint64, cmd wire.Command) Result {
	m.t.Helper()
	m.index++
	cmd.NowMS, cmd.RetentionMS, cmd.MaxRows = nowMS, m.retentionMS, m.maxRows
	view := m.store.View()
	result, err := Apply(&cmd, m.index, 1, view, &m.out)
	_ = view.Close() // of a map
	if err == nil {
		err = m.store.Apply(&m.out)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return result
}

// look reads the state.
func (m *machine) look(do func(state State) error) {
	m.t.Helper()
	view := m.store.View()
	defer view.Close() //nolint:errcheck // of a map
	if err := do(view); err != nil {
		m.t.Fatal(err)
	}
}

// meta is the state's.
func (m *machine) meta() (meta store.Meta) {
	m.look(func(state State) error {
		meta = state.Meta()
		return nil
	})
	return meta
}

// v7 is a request ID that was issued then.
func v7(issuedMS uint64, number byte) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], issuedMS<<16|7<<12)
	binary.BigEndian.PutUint64(id[8:], 2<<62|uint64(number))
	return "v7-" + id.String()
}

// batch puts keys.
func batch(keys ...string) wire.Entries {
	var raw []byte
	for _, key := range keys {
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(key), Value: []byte("v")})
	}
	return wire.Canonical(raw)
}
