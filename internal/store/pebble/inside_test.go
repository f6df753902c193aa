package pebble

import (
	"bytes"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

func TestMetaSurvivesItsEncoding(t *testing.T) {
	want := store.Meta{Index: 1, Term: 2, NowMS: 3, Clock: 4, Floor: 5, Rows: 6, Held: 7, IDFloorMS: 1<<64 - 1}
	data := appendMeta(nil, want)
	got, err := decodeMeta(data)
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, bad := range map[string][]byte{
		"empty":         {},
		"short":         data[:len(data)-1],
		"long":          append(bytes.Clone(data), 0),
		"other version": append([]byte{metaVersion + 1}, data[1:]...),
		"index 0":       appendMeta(nil, store.Meta{Term: 1}),
	} {
		if _, err := decodeMeta(bad); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func TestStoreBelowItsMarkIsDamaged(t *testing.T) {
	fs := vfs.NewMem()
	s, err := openSmall(t, fs, "d")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(&store.Mutations{Meta: store.Meta{Index: 7}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for mark, damaged := range map[uint64]bool{0: false, 7: false, 8: true} {
		if err := writeMark(fs, "d", mark); err != nil {
			t.Fatal(err)
		}
		s, err := openSmall(t, fs, "d")
		if errors.Is(err, store.ErrCorrupt) != damaged {
			t.Errorf("mark %d of a store at 7: %v", mark, err)
		}
		if err == nil {
			err = s.Close()
		}
		if err != nil && !damaged {
			t.Error(err)
		}
	}
}

// TestDamagedBlockNamesItsFile reads through a block damaged after Open.
func TestDamagedBlockNamesItsFile(t *testing.T) {
	fs := vfs.NewMem()
	s, err := openSmall(t, fs, "d")
	if err != nil {
		t.Fatal(err)
	}
	m := &store.Mutations{Meta: store.Meta{Index: 1}}
	for i := range 200 {
		m.Set(store.Data, []byte{byte(i)}, nil, bytes.Repeat([]byte{byte(i), 'x', byte(i * 7)}, 100))
	}
	if err := s.Apply(m); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("d")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		data, err := fs.UnsafeGetFileDataBuffer("d/" + name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 4
	}
	v := s.View()
	failed := 0
	for i := range 200 {
		value, _, err := v.Get(store.Data, []byte{byte(i)})
		switch {
		case err == nil && len(value) == 300:
		case errors.Is(err, store.ErrCorrupt) && strings.Contains(err.Error(), ".sst"):
			failed++
		default:
			t.Errorf("key %d: %d bytes, %v", i, len(value), err)
		}
	}
	if failed == 0 {
		t.Error("no read noticed")
	}
	if err := errors.Join(v.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

// TestFatalDoesNotReturn: Pebble counts on that. The goroutine stays parked for
// the rest of the test's process, as it would for the rest of a node's.
func TestFatalDoesNotReturn(t *testing.T) {
	called, returned := make(chan error, 1), make(chan struct{})
	s := &Store{fatal: func(err error) { called <- err }}
	go func() {
		logger{s}.Fatalf("MANIFEST sync failed: %v", errors.New("disk full"))
		close(returned)
	}()
	if err := <-called; err.Error() != "store cannot go on: MANIFEST sync failed: disk full" {
		t.Errorf("Fatal got %q", err)
	}
	// Enough turns for a Fatalf that does return to be seen.
	for range 1000 {
		runtime.Gosched()
	}
	select {
	case <-returned:
		t.Error("Fatalf returned")
	default:
	}
}

func TestLoggerWritesToSlog(t *testing.T) {
	var out bytes.Buffer
	s := &Store{logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	l := logger{s}
	l.Infof("chatter %d", 1)
	l.Errorf("trouble %d", 2)
	if got := out.String(); strings.Contains(got, "chatter") || !strings.Contains(got, "trouble 2") {
		t.Errorf("logged %q", got)
	}
}

func TestConfigIsValidated(t *testing.T) {
	good := DefaultConfig()
	good.Dir = "d"
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"no FS":      func(c *Config) { c.FS = nil },
		"no Dir":     func(c *Config) { c.Dir = "" },
		"no cache":   func(c *Config) { c.CacheBytes = 0 },
		"tiny runs":  func(c *Config) { c.RunBytes = 1 },
		"giant runs": func(c *Config) { c.RunBytes = 1 << 40 },
	} {
		cfg := good
		change(&cfg)
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// TestLogEntryLargerThanARun gets a run of its own, and the next one the usual
// size again.
func TestLogEntryLargerThanARun(t *testing.T) {
	fs := vfs.NewMem()
	s, err := openSmall(t, fs, "d")
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("large"), memTableBytes/5+1)
	for index, value := range [][]byte{[]byte("before"), large, []byte("after")} {
		m := &store.Mutations{Meta: store.Meta{Index: uint64(index + 1)}}
		m.Set(store.Data, []byte{byte(index)}, []byte("head "), value)
		if err := s.Apply(m); err != nil {
			t.Fatal(err)
		}
	}
	if index, err := s.Flush(); err != nil || index != 3 {
		t.Fatalf("Flush() = %d, %v", index, err)
	}
	v := s.View()
	for index, want := range [][]byte{[]byte("before"), large, []byte("after")} {
		value, _, err := v.Get(store.Data, []byte{byte(index)})
		if err != nil || string(value) != "head "+string(want) {
			t.Errorf("key %d: %d bytes, %v", index, len(value), err)
		}
	}
	if err := errors.Join(v.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}
