package coordinator

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// atOnce answers every command without looking at it.
type atOnce struct{ Group }

func (atOnce) Propose(_ context.Context, _ *wire.Command) (apply.Result, group.Timing, error) {
	return apply.Result{Version: 7, ETag: wire.ETagSum{Hi: 1, Lo: 2}}, group.Timing{Log: 1, Apply: 1}, nil
}

// BenchmarkPutAll is what the coordinator itself does with a batch: the checks
// around the entries, and the fingerprint.
func BenchmarkPutAll(b *testing.B) {
	b.Run("entries=1000/value=128B", func(b *testing.B) {
		var raw []byte
		for i := range 1000 {
			raw = wire.AppendEntry(raw, &wire.Entry{Key: fmt.Appendf(nil, "key-%028d", i), Value: make([]byte, 128)})
		}
		entries, err := wire.ParseEntries(raw, sheaf.DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		c := newCoordinator(atOnce{}, 1<<20)
		defer c.Close(context.Background())
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		req := &wire.PutAll{RequestID: "v7-01890a5d-ac96-774b-bcce-b302099a8057", Entries: entries}
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			var stages telemetry.Stages
			if answer, err := c.PutAll(ctx, req, &stages); err != nil || answer.Version != 7 {
				b.Fatal(answer, err)
			}
		}
	})
}
