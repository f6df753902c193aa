package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// TestWithoutAMajorityCallersHearOfTheLeader, before their time is over, whatever they ask for: that
// more time would help is not true.
func TestWithoutAMajorityCallersHearOfTheLeader(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "memory", 3)
	c.join("n2", "n1")
	c.join("n3", "n1")
	c.mustHaveVoters("n1", "n2", "n3")
	c.put("n1", 1)
	c.stop("n2")
	c.stop("n3")
	at := clientOf(t, c.nodes["n1"])
	keys := [][]byte{[]byte("key-1"), []byte("key-2"), []byte("key-3"), []byte("key-4")}
	for what, call := range map[string]func(context.Context) error{
		"a read of a key":       func(ctx context.Context) error { _, err := at.Get(ctx, keys[0]); return err },
		"one of several groups": func(ctx context.Context) error { _, err := at.GetAll(ctx, keys); return err },
		"a scan": func(ctx context.Context) (last error) {
			for _, err := range at.Scan(ctx, client.ScanOptions{}) {
				last = err
			}
			return last
		},
		"a write": func(ctx context.Context) error {
			_, err := at.PutAll(ctx, []sheaf.Entry{sheaf.Put("key-1", "2")})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			// Longer than a write looks for a leader, by what a busy machine may lose of it.
			ctx, cancel := context.WithTimeout(t.Context(), 13*time.Second)
			defer cancel()
			err := call(ctx)
			if sheaf.CodeOf(err) == sheaf.NotProposed || !errors.Is(err, sheaf.NotLeader) && !strings.Contains(err.Error(), "lead") {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}
