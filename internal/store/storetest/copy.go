package storetest

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

// testCopy: a copy has one whole state, of not before the call, whatever is applied
// meanwhile, and survives a power cut.
func testCopy(t *testing.T, open Open) {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, open, fs)
	defer func() { mustClose(t, s) }()
	const before, during = 300, 300
	w := &workload{seed: 1, keys: 300}
	for index := uint64(1); index <= before; index++ {
		mustApply(t, s, w.entry(index))
	}
	applied := make(chan struct{})
	go func() {
		defer close(applied)
		for index := uint64(before + 1); index <= before+during; index++ {
			if err := s.Apply(w.entry(index)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	copied, err := s.Copy("copy")
	<-applied
	if err != nil {
		t.Fatal(err)
	}
	if copied.Meta.Index < before {
		t.Fatalf("the copy is at %d, older than the call", copied.Meta.Index)
	}
	other, err := open(t, fs.CrashClone(vfs.CrashCloneCfg{}), "copy")
	if err != nil {
		t.Fatalf("open the copy: %v", err)
	}
	defer func() { mustClose(t, other) }()
	want := w.stateAt(copied.Meta.Index)
	checkState(t, other, want)
	for key, value := range want.Keys[store.Own] {
		if !bytes.Equal(copied.Own[key], []byte(value)) {
			t.Errorf("Own %q is told to be %q, want %q", key, copied.Own[key], value)
		}
	}
	checkState(t, s, w.stateAt(before+during))
}
