package wire

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestPositionsAreASetWithOneEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfNDistinct(rapid.IntRange(0, 300), 0, 20, rapid.ID[int]).Draw(t, "positions")
		var set Positions
		in := make(map[int]bool)
		for _, i := range want {
			set.Add(i)
			in[i] = true
		}
		for i := range 310 {
			if set.Has(i) != in[i] {
				t.Fatalf("%d: %v", i, set.Has(i))
			}
		}
		if !set.canonical() {
			t.Fatalf("%x ends with 0", []byte(set))
		}
	})
}

func TestKeySetFindsWhatWasAdded(t *testing.T) {
	set := NewKeySet(0)
	defer set.Release()
	for i := range 500 {
		key := fmt.Appendf(nil, "key-%d", i)
		if _, ok := set.Find(key); ok {
			t.Fatalf("%s is there before it was added", key)
		}
		set.Add(key)
		if first, ok := set.Find(key); !ok || first != i {
			t.Fatalf("%s: %d, %v", key, first, ok)
		}
	}
}
