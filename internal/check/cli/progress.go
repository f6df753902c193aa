package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sheafdb/sheaf/internal/check/drive"
)

// progressPeriod is how often a person is told how it goes.
const progressPeriod = 2 * time.Second

// tell writes a line every now and then until ctx ends.
func tell(ctx context.Context, w io.Writer, counts *drive.Counts) {
	began := time.Now()
	tick := time.NewTicker(progressPeriod)
	defer tick.Stop()
	var before int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			before = tellOnce(w, counts, time.Since(began), before)
		}
	}
}

// tellOnce writes a line and returns how many operations there have been until now.
func tellOnce(w io.Writer, counts *drive.Counts, elapsed time.Duration, before int64) int64 {
	ok, refused, failed, unknown := counts.OK.Load(), counts.Refused.Load(), counts.Failed.Load(), counts.Unknown.Load()
	all := ok + refused + failed + unknown
	fmt.Fprintf(w, "%4.0fs  %6.0f ops/s  ok %d  refused %d  failed %d  unknown %d\n",
		elapsed.Seconds(), float64(all-before)/progressPeriod.Seconds(), ok, refused, failed, unknown)
	return all
}
