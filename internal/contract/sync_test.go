package contract

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// mirror is what a Sync has told: it fails the test when something comes twice or too late.
type mirror struct {
	t        *testing.T
	versions map[string]uint64
	values   map[string]string
	complete bool
}

func (m *mirror) take(u client.Update) {
	switch u.Step {
	case client.SyncRestart:
		m.versions, m.values, m.complete = make(map[string]uint64), make(map[string]string), false
	case client.SyncItems:
		for _, item := range u.Items {
			m.versions[string(item.Key)], m.values[string(item.Key)] = item.Version, string(item.Value)
		}
	case client.SyncComplete:
		m.complete = true
	case client.SyncEvent:
		for _, c := range u.Event.Changes {
			key := string(c.Key)
			had, there := m.versions[key]
			switch {
			case c.Expired:
			case there && u.Event.Version <= had:
				m.t.Errorf("%q at version %d comes when it is at %d already", key, u.Event.Version, had)
			}
			if c.Delete {
				delete(m.values, key)
			} else {
				m.values[key] = string(c.Value)
			}
			m.versions[key] = u.Event.Version
		}
	}
}

// TestSyncMissesNothingAndRepeatsNothing while others write, delete, and let keys expire.
func TestSyncMissesNothingAndRepeatsNothing(t *testing.T) {
	for _, store := range []string{"pebble", "memory"} {
		n := sharedNode(t, store)
		c, err := client.New(n.grpcAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, stop := context.WithTimeout(t.Context(), patience)
		defer stop()
		p := t.Name() + store + "/"
		var writers sync.WaitGroup
		end := make(chan struct{})
		for w := range 4 {
			writers.Go(func() {
				r := rand.New(rand.NewPCG(uint64(w), 1))
				for i := 0; ; i++ {
					select {
					case <-end:
						return
					default:
					}
					var batch []sheaf.Entry
					for _, k := range r.Perm(40)[:1+r.IntN(6)] {
						key := fmt.Sprintf("%s%d", p, k)
						if r.IntN(4) == 0 {
							batch = append(batch, sheaf.Delete(key))
						} else {
							batch = append(batch, sheaf.Put(key, fmt.Sprint(w, i)))
						}
					}
					if _, err := c.PutAll(ctx, batch); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var readers sync.WaitGroup
		var want atomic.Pointer[map[string]string]
		for i := range 4 {
			m := &mirror{t: t}
			readers.Go(func() {
				events := 0
				for u, err := range c.Sync(ctx, []byte(p)) {
					if err != nil {
						t.Errorf("%v; the picture is %v, want %v", err, m.values, want.Load())
						return
					}
					m.take(u)
					if u.Step == client.SyncEvent {
						events++
					}
					if events == 200 && i == 0 {
						close(end) // all readers then come to what is left
					}
					if all := want.Load(); all != nil && maps.Equal(m.values, *all) {
						return
					}
				}
			})
		}
		writers.Wait()
		all := map[string]string{p + "over": ""}
		for item, err := range c.Scan(ctx, client.ScanOptions{Prefix: []byte(p)}) {
			if err != nil {
				t.Fatal(err)
			}
			all[string(item.Key)] = string(item.Value)
		}
		want.Store(&all)
		if _, err := c.Put(ctx, []byte(p+"over"), nil); err != nil { // readers look at every change
			t.Fatal(err)
		}
		readers.Wait()
	}
}
