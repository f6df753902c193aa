package storetest

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

// testImage: an image is one whole state in all spaces, whatever is applied while it is
// walked, parked or not, and a Flush goes on beside one that is parked.
func testImage(t *testing.T, open Open) {
	for name, park := range map[string]bool{"parked": true, "in place": false} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := mustOpen(t, open, fs)
			defer func() { mustClose(t, s) }()
			const before, during = 300, 300
			w := &workload{seed: 1, keys: 300}
			for index := uint64(1); index <= before; index++ {
				mustApply(t, s, w.entry(index))
			}
			image, err := s.Image()
			if err != nil {
				t.Fatal(err)
			}
			begun, applied := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(applied)
				for index := uint64(before + 1); index <= before+during; index++ {
					if index == before+during/2 {
						close(begun)
					}
					if err := s.Apply(w.entry(index)); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			<-begun
			taken, err := image.Take()
			if err != nil {
				t.Fatal(err)
			}
			if park {
				if err := image.Park("parked"); err != nil {
					t.Fatal(err)
				}
				<-applied
				mustFlush(t, s, before+during)
			}
			got := newModel()
			got.meta = taken.Meta
			err = image.Walk(func(space store.Space, key, value []byte) error {
				if _, twice := got.spaces[space][string(key)]; twice {
					t.Errorf("key %q of space %d is visited twice", key, space)
				}
				got.spaces[space][string(key)] = string(value)
				return nil
			})
			<-applied
			if err != nil {
				t.Fatal(err)
			}
			if err := image.Close(); err != nil {
				t.Fatal(err)
			}
			want := w.stateAt(taken.Meta.Index)
			checkSame(t, want, got.state())
			for key, value := range want.Keys[store.Own] {
				if !bytes.Equal(taken.Own[key], []byte(value)) {
					t.Errorf("Own %q is told to be %q, want %q", key, taken.Own[key], value)
				}
			}
			if n := len(want.Keys[store.Attempts]); taken.Attempts != n || len(taken.Own) != len(want.Keys[store.Own]) {
				t.Errorf("%d attempts and %d of Own, want %d and %d", taken.Attempts, len(taken.Own), n, len(want.Keys[store.Own]))
			}
			checkState(t, s, w.stateAt(before+during))
		})
	}
}

// testImageUnused: one that took nothing holds up nothing once it is closed.
func testImageUnused(t *testing.T, open Open) {
	s := mustOpen(t, open, vfs.NewMem())
	defer func() { mustClose(t, s) }()
	mustApply(t, s, entry(1, set(store.Data, "a", "1")))
	image, err := s.Image()
	if err != nil {
		t.Fatal(err)
	}
	if err := image.Close(); err != nil {
		t.Fatal(err)
	}
	mustFlush(t, s, 1)
}
