package group

import (
	"context"
	"time"

	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf"
)

// follower has what a watch has told of a group, through its restarts and crashes.
type follower struct {
	token   string
	picture map[string]modelKey // without expiries
	// eager ones read after every step, so nothing may ever be missing for them.
	eager bool
}

// enough makes a reader return at once when it has seen all.
var enough = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// follow reads what has come since, and compares.
func (m *model) follow(t *rapid.T, f *follower) {
	if f.token == "" {
		m.look(f)
	}
	reader, err := m.rig.feed.From(f.token)
	if sheaf.CodeOf(err) == sheaf.Compacted && err != nil && !f.eager {
		m.look(f)
		reader, err = m.rig.feed.From(f.token)
	}
	if err != nil {
		t.Fatalf("go on from %s: %v", f.token, err)
	}
	defer reader.Close()
	for {
		event, ok, err := reader.Next(context.Background(), enough)
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
		if !ok {
			break
		}
		for _, entry := range event.Part.Entries.All() {
			key := string(entry.Key)
			if had := f.picture[key]; event.Version != 0 && event.Version <= had.version {
				t.Fatalf("key %q at version %d comes when it is at %d", key, event.Version, had.version)
			}
			delete(f.picture, key)
			if !entry.Delete {
				f.picture[key] = modelKey{value: string(entry.Value), version: event.Version}
			}
		}
		event.Release()
	}
	f.token = reader.Token()
	for key := range m.keys {
		if want, live := m.live(key); live && (f.picture[key].value != want.value || f.picture[key].version != want.version) {
			t.Fatalf("key %q: the watch has %+v, the group %+v", key, f.picture[key], want)
		}
	}
	for key, has := range f.picture {
		if _, known := m.keys[key]; !known {
			t.Fatalf("key %q: the watch has %+v, the group nothing", key, has)
		}
	}
}

// look begins anew with what is there.
func (m *model) look(f *follower) {
	f.picture = make(map[string]modelKey)
	for key := range m.keys {
		if k, live := m.live(key); live {
			f.picture[key] = modelKey{value: k.value, version: k.version}
		}
	}
	at := []uint64{m.rig.group.Applied()}
	f.token = m.rig.feed.ScanToken(at, at)
}
