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
	// watch has the display show a latency too. It must be called before the first add.
	watch(p95 func() time.Duration)
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
	return &lines{w: a.stderr, what: what, total: total, tally: newTally()}
}

// bar shows bytes, their rate and the time left by itself; rate and latency of entries stand
// before it.
type bar struct {
	*progressbar.ProgressBar
	what string
	tally
}

// barPeriod is how often what stands before the bar is written anew.
const barPeriod = 500 * time.Millisecond

func newBar(w io.Writer, what string, total int64) *bar {
	return &bar{what: what, tally: newTally(), ProgressBar: progressbar.NewOptions64(total,
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
func (b *bar) add(entries int, bytes int64) {
	b.mu.Lock()
	if elapsed, due := b.count(entries, bytes, barPeriod); due {
		b.Describe(b.what + b.pace(elapsed))
	}
	b.mu.Unlock()
	_ = b.Add64(bytes)
}

func (b *bar) finish() { _ = b.Finish() }

// tally adds up what was done.
type tally struct {
	began time.Time
	p95   func() time.Duration // nil: not shown

	mu      sync.Mutex
	last    time.Time
	entries int
	bytes   int64
}

func newTally() tally {
	now := time.Now()
	return tally{began: now, last: now}
}

func (t *tally) watch(p95 func() time.Duration) { t.p95 = p95 }

// count adds, and says whether the display is due again.
func (t *tally) count(entries int, bytes int64, period time.Duration) (elapsed time.Duration, due bool) {
	t.entries += entries
	t.bytes += bytes
	now := time.Now()
	if now.Sub(t.last) < period {
		return 0, false
	}
	t.last = now
	return now.Sub(t.began), true
}

// pace is the rate and the latency of entries, if they are known.
func (t *tally) pace(elapsed time.Duration) (text string) {
	if t.entries > 0 {
		text = fmt.Sprintf(", %s keys/s", humanCount(int64(float64(t.entries)/max(elapsed.Seconds(), 1e-9))))
	}
	if t.p95 != nil {
		text += ", p95 " + humanTime(t.p95())
	}
	return text
}

type lines struct {
	w     io.Writer
	what  string
	total int64
	tally
}

func (l *lines) add(entries int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if elapsed, due := l.count(entries, bytes, linePeriod); due {
		fmt.Fprintln(l.w, l.line(elapsed))
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
	line += fmt.Sprintf(", %s/s", humanBytes(int64(rate))) + l.pace(elapsed)
	if left := l.total - l.bytes; l.total > 0 && rate > 0 && left > 0 {
		eta := time.Duration(float64(left) / rate * float64(time.Second))
		line += fmt.Sprintf(", %s left", eta.Round(time.Second))
	}
	return line
}

// silent is for output that a progress display would disturb.
type silent struct{}

func (silent) add(int, int64)             {}
func (silent) watch(func() time.Duration) {}
func (silent) finish()                    {}
