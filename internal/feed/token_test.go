package feed

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzToken: whatever is understood as a token is written as it was read.
func FuzzToken(f *testing.F) {
	for _, text := range []string{
		"t_1.0", "t_1.5-2.7", "t_1.5.3", "t_1.5-2.7~1.6-2.9", "t_1.5.18446744073709551615",
		"", "_1.1", "t_", "t_1", "t_2.1", "t_1.5~1.6-2.7", "t_1.5~1.6.1", "t_1.x", "t_1.-5", "x_1.5", "t_1.18446744073709551616",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, ours, err := decode(text, "t", 2)
		if err != nil {
			return
		}
		if ours != (len(token.Seen) == 2 && text[:2] == "t_") {
			t.Errorf("%q: ours is %v", text, ours)
		}
		again, _, err := decode(token.encode("t"), "t", 2)
		if err != nil {
			t.Fatalf("%q is written as %q, which is none: %v", text, token.encode("t"), err)
		}
		if diff := cmp.Diff(token, again); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}
