//go:build failpoints

package failpoint

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestARuleSaysWhatHappensWhere(t *testing.T) {
	mustSet("log.sync=error,other=sleep 1ms-2ms:0.5")
	defer mustSet("")
	if err := hit("log.sync"); !errors.Is(err, errInjected) {
		t.Errorf("log.sync: %v", err)
	}
	for _, place := range []string{"other", "elsewhere"} {
		if err := hit(place); err != nil {
			t.Errorf("%s: %v", place, err)
		}
	}
	for _, text := range []string{"x", "x=", "x=explode", "x=kill:often", "x=sleep", "x=sleep 2s-1s"} {
		if _, _, err := parse(text); err == nil {
			t.Errorf("%q is a rule", text)
		}
	}
}

// TestOnlyTheLogsSyncsFailWhereTheLogIsNamed, and a place hangs until its rule is gone.
func TestOnlyTheLogsSyncsFailWhereTheLogIsNamed(t *testing.T) {
	fs := FS(vfs.NewMem())
	defer mustSet("")
	file := func(dir string) vfs.File {
		if err := fs.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := fs.OpenReadWrite(fs.PathJoin(dir, "f"), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	log, store := file("/n/log"), file("/n/store")
	mustSet("log.sync=error")
	if err := log.SyncData(); !errors.Is(err, errInjected) {
		t.Errorf("log: %v", err)
	}
	if err := store.Sync(); err != nil {
		t.Errorf("store: %v", err)
	}
	mustSet("disk.sync=hang")
	done := make(chan error)
	go func() { done <- store.Sync() }()
	select {
	case <-done:
		t.Error("a sync that hangs has ended")
	case <-time.After(3 * lookEvery):
	}
	mustSet("")
	if err := <-done; err != nil {
		t.Error(err)
	}
}
