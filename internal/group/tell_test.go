package group

import (
	"testing"

	"github.com/sheafdb/sheaf/internal/store"
)

// A key that was written again, with less time to live, is due twice. When one Tick meets both, it is
// deleted twice, which is as good as once, and told once.
func TestKeyThatIsDueTwiceIsToldOnce(t *testing.T) {
	var out store.Mutations
	for _, key := range []string{"a", "b", "a"} {
		out.Delete(store.Data, []byte(key))
	}
	var told []string
	for _, entry := range writtenBy(&out).All() {
		if !entry.Delete {
			t.Errorf("%s is told as a put", entry.Key)
		}
		told = append(told, string(entry.Key))
	}
	if len(told) != 2 || told[0] != "a" || told[1] != "b" {
		t.Errorf("told are %q", told)
	}
}
