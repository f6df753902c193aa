package pebble

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

// DueKeys merges the queue in Pebble with what the runs changed of it.
func (v *view) DueKeys(prefix []byte, visit func(key []byte) bool) error {
	from := v.store.due.from(v.meta.Index, prefix)
	iter, err := v.snap.NewIter(&pebble.IterOptions{
		LowerBound: spaceKey(store.Due, from), UpperBound: successor(spaceKey(store.Due, prefix)),
	})
	if err != nil {
		return fmt.Errorf("read due keys: %w", v.store.readError(err))
	}
	var staged []dueSource
	for _, r := range v.set.runs {
		staged = append(staged, dueSource{run: r, prefix: string(prefix), from: string(from)})
	}
	first := true
	for ok := iter.First(); ; {
		// The lowest key of all sources; each that stands on it moves on.
		key, any := "", false
		for i := range staged {
			if k, more := staged[i].peek(); more && (!any || k < key) {
				key, any = k, true
			}
		}
		inPebble := false
		if ok {
			below := viewString(iter.Key()[1:])
			if inPebble = !any || below <= key; inPebble {
				key, any = strings.Clone(below), true
			}
		}
		if !any {
			break
		}
		for i := range staged {
			if k, more := staged[i].peek(); more && k == key {
				staged[i].next++
			}
		}
		live := inPebble
		name := []byte(key)
		if rec, staged := v.set.find(store.Due, name, v.meta.Index); staged {
			live = !rec.deletes()
		}
		if live && first && len(prefix) == 1 {
			v.store.due.found(v.meta.Index, name)
		}
		if live {
			first = false
			if !visit(name) {
				break
			}
		}
		if inPebble {
			ok = iter.Next()
		}
	}
	// Close reports the error that ended the iteration, if there was one.
	if err := iter.Close(); err != nil {
		return fmt.Errorf("read due keys: %w", v.store.readError(err))
	}
	return nil
}

// dueSource walks the keys of one run's queue from a key on, some at a time: Apply
// adds to it meanwhile.
type dueSource struct {
	run          *run
	prefix, from string
	keys         []string
	next         int
	ended        bool
}

// dueChunk is how many keys are taken under one hold of the lock.
const dueChunk = 64

func (d *dueSource) peek() (string, bool) {
	if d.next == len(d.keys) && !d.ended {
		d.fill()
	}
	if d.next == len(d.keys) {
		return "", false
	}
	return d.keys[d.next], true
}

func (d *dueSource) fill() {
	d.keys, d.next, d.ended = d.keys[:0], 0, true
	d.run.dueMu.RLock()
	defer d.run.dueMu.RUnlock()
	d.run.due.AscendGreaterOrEqual(d.from, func(key string) bool {
		if !strings.HasPrefix(key, d.prefix) {
			return false
		}
		if len(d.keys) == dueChunk {
			d.from, d.ended = key, false
			return false
		}
		d.keys = append(d.keys, key)
		return true
	})
}
