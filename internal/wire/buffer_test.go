package wire

import (
	"bytes"
	"testing"
)

func TestABufferIsUsedAgainWhenNobodyHoldsIt(t *testing.T) {
	b := NewBuffer(5000)
	if len(b.Bytes()) != 5000 {
		t.Fatalf("%d bytes", len(b.Bytes()))
	}
	copy(b.Bytes(), "held")
	b.Hold()
	b.Release()
	if other := NewBuffer(5000); other == b {
		t.Fatal("a buffer that is held was given away")
	}
	if string(b.Bytes()[:4]) != "held" {
		t.Fatal("the bytes of a buffer that is held have changed")
	}
	b.Release()
	if again := NewBuffer(5100); again != b || len(again.Bytes()) != 5100 {
		t.Error("a released buffer was not used again")
	}
}

func TestBuffersOfAllSizes(t *testing.T) {
	for _, n := range []int{0, 1, 512, 513, 4097, 1 << 20, 1<<20 + 1, 1<<maxBufferBits + 1} {
		b := NewBuffer(n)
		if len(b.Bytes()) != n {
			t.Errorf("%d bytes, want %d", len(b.Bytes()), n)
		}
		b.Release()
	}
	var none *Buffer
	none.Hold()
	none.Release()
}

func TestKeptBuffersAreBounded(t *testing.T) {
	const size = 1 << 20
	var all []*Buffer
	for range 2 * maxKeptBytes / size {
		all = append(all, NewBuffer(size))
	}
	for _, b := range all {
		b.Release()
	}
	kept := 0
	for _, list := range free.lists {
		for _, b := range list {
			kept += cap(b.data)
		}
	}
	if kept > maxKeptBytes || kept != free.bytes {
		t.Errorf("%d bytes are kept, %d counted", kept, free.bytes)
	}
}

func TestABufferTakesAtMostAQuarterMore(t *testing.T) {
	for n := 513; n <= 1<<maxBufferBits; n += 1 + n/97 {
		class, size := bufferClass(n)
		if size < n || size > n+n/4+1 || class < 1 || class >= bufferClasses {
			t.Fatalf("%d bytes: class %d of %d bytes", n, class, size)
		}
		if again, same := bufferClass(size); again != class || same != size {
			t.Fatalf("a buffer of %d bytes is of class %d, not %d", size, again, class)
		}
	}
}

func TestReleasingTwicePanics(t *testing.T) {
	b := NewBuffer(1)
	b.Release()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		b.refs.Store(0)
	}()
	b.Release()
}

// TestLateReadersReadNonsense is what `go test -tags invariants` is for.
func TestLateReadersReadNonsense(t *testing.T) {
	if !Poisoned {
		t.Skip("needs -tags invariants")
	}
	b := NewBuffer(100)
	late := b.Bytes()
	copy(late, AppendEntry(nil, &Entry{Key: []byte("key"), Value: []byte("value")}))
	b.Release()
	if !bytes.Equal(late, bytes.Repeat([]byte{0xdb}, 100)) {
		t.Errorf("a late reader sees %q", late)
	}
}
