package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far long work is. Its methods may be called from any
// goroutine.
type progress interface {
	// add tells what was done since the last call.
	add(entries int, bytes int64)
	// finish takes the display away.
	finish()
}

// linePeriod is how often plain lines are written.
const linePeriod = 3 * time.Second

// newProgress shows a bar on a terminal, and plain lines otherwise. total is the
// size of the whole in bytes, or -1.
func (a *app) newProgress(what string, total int64) progress {
	if terminal(a.stderr) {
		return newBar(a.stderr, what, total)
	}
	return &lines{w: a.stderr, what: what, total: total, began: time.Now(), last: time.Now()}
}

type bar struct{ *progressbar.ProgressBar }

func newBar(w io.Writer, what string, total int64) bar {
	return bar{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// A display that cannot be written to is no reason to stop the work.
func (b bar) add(_ int, bytes int64) { _ = b.Add64(bytes) }
func (b bar) finish()                { _ = b.Finish() }

type lines struct {
	w     io.Writer
	what  string
	total int64
	began time.Time

	mu      sync.Mutex
	last    time.Time
	entries int
	bytes   int64
}

func (l *lines) add(entries int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries += entries
	l.bytes += bytes
	if now := time.Now(); now.Sub(l.last) >= linePeriod {
		l.last = now
		fmt.Fprintln(l.w, l.line(now.Sub(l.began)))
	}
}

func (l *lines) finish() {}

func (l *lines) line(elapsed time.Duration) string {
	rate := float64(l.bytes) / max(elapsed.Seconds(), 1e-9)
	line := l.what + ": "
	if l.entries > 0 {
		line += humanCount(int64(l.entries)) + " entries, "
	}
	line += humanBytes(l.bytes)
	if l.total > 0 {
		line += fmt.Sprintf(" of %s (%d%%)", humanBytes(l.total), l.bytes*100/l.total)
	}
	line += fmt.Sprintf(", %s/s", humanBytes(int64(rate)))
	if left := l.total - l.bytes; l.total > 0 && rate > 0 && left > 0 {
		eta := time.Duration(float64(left) / rate * float64(time.Second))
		line += fmt.Sprintf(", %s left", eta.Round(time.Second))
	}
	return line
}

// silent is for output that a progress display would disturb.
type silent struct{}

func (silent) add(int, int64) {}
func (silent) finish()        {}
