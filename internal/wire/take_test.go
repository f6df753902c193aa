package wire

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestTakeLosesNothing: the pieces of a batch are its entries with the prefix, in order, and no piece
// goes on when it has enough.
func TestTakeLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var raw, want []byte
		prefix := rapid.SampledFrom([]string{"", "a", "b/"}).Draw(t, "prefix")
		count, matching := rapid.IntRange(1, 20).Draw(t, "entries"), 0
		for i := range count {
			e := Entry{Key: fmt.Appendf(nil, "%s%d", rapid.SampledFrom([]string{"a", "b/", "c"}).Draw(t, "key"), i)}
			e.Value = make([]byte, rapid.IntRange(0, 300).Draw(t, "bytes"))
			if rapid.Bool().Draw(t, "typed") {
				e.TypeURL = []byte("t")
			}
			raw = AppendEntry(raw, &e)
			if bytes.HasPrefix(e.Key, []byte(prefix)) {
				want, matching = AppendEntry(want, &e), matching+1
			}
		}
		most := rapid.IntRange(1, 1000).Draw(t, "most")
		var got []byte
		taken := 0
		for rest := Canonical(raw); rest.Len() > 0; {
			piece, after := rest.Take(nil, []byte(prefix), most)
			last := 0
			for _, one := range piece.Singles() {
				last = len(one.Raw())
			}
			if len(piece.Raw())-last >= most && piece.Len() > 1 {
				t.Fatalf("a piece of %d bytes, with %d asked for and a last entry of %d", len(piece.Raw()), most, last)
			}
			got, taken = append(got, piece.Raw()...), taken+piece.Len()
			if after.Len() > 0 {
				if first, _ := after.Take(nil, []byte(prefix), 1); first.Len() == 0 {
					t.Fatal("a rest with nothing in it")
				}
			}
			rest = after
		}
		if !bytes.Equal(got, want) || taken != matching {
			t.Fatalf("%d entries, %d bytes; want %d, %d", taken, len(got), matching, len(want))
		}
	})
}
