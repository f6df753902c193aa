package clienttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/config"
)

// TestABatchThatIsTooLargeForTheNodeIsRefusedByName, in a stream too, however small the node's limit.
func TestABatchThatIsTooLargeForTheNodeIsRefusedByName(t *testing.T) {
	for _, limit := range []int{64 << 10, 1 << 20} {
		c := New(t, func(cfg *config.Config) { cfg.Limits.BatchBytes, cfg.Limits.ValueBytes = limit, limit/2 })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		s, err := c.PutStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, bytes := range []int{limit + limit/2, 4 * limit, limit / 2} {
			var batch []sheaf.Entry
			for i := range 8 {
				batch = append(batch, sheaf.Entry{Key: []byte{'a' + byte(i)}, Value: make([]byte, bytes/8)})
			}
			p, err := s.Put(ctx, batch)
			if err != nil {
				t.Fatal(err)
			}
			result, err := p.Wait(ctx)
			if tooLarge := bytes > limit; tooLarge != errors.Is(err, sheaf.BatchTooLarge) || !tooLarge && err != nil {
				t.Errorf("limit %d, %d bytes: %d attempts: %v", limit, bytes, result.Attempts, err)
			}
		}
		if err := s.Close(); !errors.Is(err, sheaf.BatchTooLarge) {
			t.Error(err)
		}
	}
}
