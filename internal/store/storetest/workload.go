package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf/internal/store"
)

// state is what a store holds, in plain maps.
type state struct {
	Meta store.Meta
	Keys map[store.Space]map[string]string // of all spaces but Due
	Due  []string
	Scan []string // "key=value" of Data, as Scan gives them
}

// workload is a log whose entry of any index follows from the seed alone. What
// a store must hold after an entry is found by applying the entries to a map.
type workload struct {
	seed uint64
	keys int
	// reached is where stateAt was last: the suite asks for rising indexes, and
	// need not begin at the first entry each time. nil is the beginning.
	reached *model
}

// entry returns the log entry of index: sets and deletes in all spaces, of keys
// that come again, and now and then a value that fills a memtable block.
func (w *workload) entry(index uint64) *store.Mutations {
	rng := rand.New(rand.NewPCG(w.seed, index))
	m := &store.Mutations{Meta: metaAt(index)}
	used := map[string]bool{}
	for range 1 + rng.IntN(40) {
		space := spaces[rng.IntN(len(spaces))]
		key := fmt.Sprintf("key-%04d", rng.IntN(w.keys))
		id := fmt.Sprint(space, key)
		if used[id] {
			continue
		}
		used[id] = true
		switch {
		case rng.IntN(4) == 0:
			m.Delete(space, []byte(key))
		case space == store.Due:
			m.Set(space, []byte(key), nil, nil)
		default:
			size := rng.IntN(300)
			if rng.IntN(50) == 0 {
				size = 5000 + rng.IntN(5000)
			}
			value := bytes.Repeat([]byte{byte('a' + index%26)}, size)
			m.Set(space, []byte(key), fmt.Appendf(nil, "%d:", index), value)
		}
	}
	return m
}

// stateAt is the state after the log entry of index.
func (w *workload) stateAt(index uint64) state {
	if w.reached == nil || w.reached.meta.Index > index {
		w.reached = newModel()
	}
	for i := w.reached.meta.Index + 1; i <= index; i++ {
		w.reached.apply(w.entry(i))
	}
	return w.reached.state()
}

// spaces are all there are.
var spaces = []store.Space{store.Data, store.Rows, store.Due, store.Attempts, store.Held, store.Own}

// model is a store as maps.
type model struct {
	meta   store.Meta
	spaces map[store.Space]map[string]string
}

func newModel() *model {
	m := &model{spaces: make(map[store.Space]map[string]string)}
	for _, space := range spaces {
		m.spaces[space] = map[string]string{}
	}
	return m
}

func (m *model) apply(mutations *store.Mutations) {
	m.meta = mutations.Meta
	for _, op := range mutations.Ops {
		if op.Delete {
			delete(m.spaces[op.Space], string(op.Key))
		} else {
			m.spaces[op.Space][string(op.Key)] = string(op.Head) + string(op.Value)
		}
	}
}

func (m *model) state() state {
	s := state{
		Meta: m.meta,
		Keys: make(map[store.Space]map[string]string),
		Due:  slices.Sorted(maps.Keys(m.spaces[store.Due])),
	}
	for space, keys := range m.spaces {
		if space != store.Due {
			s.Keys[space] = maps.Clone(keys)
		}
	}
	data := s.Keys[store.Data]
	for _, key := range slices.Sorted(maps.Keys(data)) {
		s.Scan = append(s.Scan, key+"="+data[key])
	}
	return s
}

// read reads all of an idle store that the wanted state names and all that the
// store can list itself. Its errors are those of the store.
func read(s store.Store, want state) (got state, err error) {
	v := s.View()
	defer func() {
		if closeErr := v.Close(); err == nil {
			err = closeErr
		}
	}()
	got = state{Meta: v.Meta(), Keys: make(map[store.Space]map[string]string)}
	for space, keys := range want.Keys {
		got.Keys[space] = map[string]string{}
		for key := range keys {
			value, ok, err := v.Get(space, []byte(key))
			if err != nil {
				return got, err
			}
			if ok {
				got.Keys[space][key] = string(value)
			}
		}
	}
	err = v.DueKeys(nil, func(key []byte) bool {
		got.Due = append(got.Due, string(key))
		return true
	})
	return got, err
}

// readScan adds what Scan lists. It is apart from read because no Scan may be
// opened while a View is held.
func readScan(s store.Store, got *state) error {
	cursor, meta, err := s.Scan(nil, nil)
	if err != nil {
		return err
	}
	for cursor.Next() {
		got.Scan = append(got.Scan, string(cursor.Key())+"="+string(cursor.Value()))
	}
	if err := cursor.Err(); err != nil {
		_ = cursor.Close()
		return err
	}
	if meta != got.Meta {
		got.Scan = append(got.Scan, fmt.Sprintf("scan began at %+v", meta))
	}
	return cursor.Close()
}

// checkState fails unless the idle store holds exactly want.
func checkState(tb tester, s store.Store, want state) {
	tb.Helper()
	got, err := read(s, want)
	if err == nil {
		err = readScan(s, &got)
	}
	if err != nil {
		tb.Fatalf("read state: %v", err)
	}
	checkSame(tb, want, got)
}

func checkSame(tb tester, want, got state) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		if len(diff) > 2000 {
			diff = diff[:2000]
		}
		tb.Fatalf("state at log entry %d (-want +got):\n%s", want.Meta.Index, diff)
	}
}
