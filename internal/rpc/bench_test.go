package rpc

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/admission"
)

// BenchmarkPutAll is a batch from the public client over loopback to a group that
// drops it. Client and server share the process, so time and allocations are of
// both; bench/wire tells them apart.
func BenchmarkPutAll(b *testing.B) {
	for _, callers := range []int{1, 4} {
		b.Run(fmt.Sprintf("callers=%d/entries=1000/value=128B", callers), func(b *testing.B) {
			addr := listen(b, &sink{}, admission.NewGate(sheaf.DefaultLimits().InFlightBytes))
			c, err := client.New(addr)
			if err != nil {
				b.Fatal(err)
			}
			defer func() {
				if err := c.Close(); err != nil {
					b.Error(err)
				}
			}()
			turns := make(chan struct{})
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					entries := batchOf(1000)
					for range turns {
						if result, err := c.PutAll(context.Background(), entries); err != nil || result.Version == 0 {
							b.Errorf("put all: %+v, %v", result, err)
						}
					}
				})
			}
			b.SetBytes(1000 * (32 + 128))
			b.ReportAllocs()
			for b.Loop() {
				turns <- struct{}{}
			}
			close(turns)
			wg.Wait()
			b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}
