package web

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
)

// TestABatchThatFindsNoMemoryIsNotPassed by a later one of the import that has the same key: an import
// that is repeated then ends with the later line.
func TestABatchThatFindsNoMemoryIsNotPassed(t *testing.T) {
	r := newRig(t, func(l *sheaf.Limits) {
		l.BatchEntries, l.BatchBytes, l.ValueBytes, l.InFlightBytes = 64, 64<<10, 16<<10, 1<<20
	})
	line := func(key, fill string, bytes int) string {
		return fmt.Sprintf("{\"key\":%q,\"value\":%q}\n", key, strings.Repeat(fill, bytes))
	}
	const others = 700 << 10 // so that the import's window is smaller than a batch
	if err := r.gate.Reserve(others); err != nil {
		t.Fatal(err)
	}
	taken := int64(others)
	first := line("z", "x", 10) + line("z", "x", 10)
	var rest strings.Builder
	rest.WriteString(line("k", "1", 4<<10))
	for i := range 13 {
		rest.WriteString(line(fmt.Sprint("f", i), "x", 4<<10))
	}
	rest.WriteString(line("k", "2", 10))
	im := r.begin(t, "/v1/import", first)
	im.hear(`"batch":0`)
	for step := int64(32 << 10); step > 0; step /= 2 {
		for r.gate.Reserve(step) == nil {
			taken += step
		}
	}
	im.say(rest.String())
	if err := im.feed.Close(); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for im.lines.Scan() {
		if text := im.lines.Text(); strings.Contains(text, "RATE_LIMITED") || strings.Contains(text, "CONTENTION") {
			refused++
		}
	}
	r.gate.Release(taken)
	if refused != 2 {
		t.Errorf("%d batches were refused: want the one without memory, and the one behind it", refused)
	}
	r.imported(t, "", first+rest.String(), "Idempotency-Key", t.Name())
	if _, value := r.version(t, "k"); value != strings.Repeat("2", 10) {
		t.Errorf("k has the earlier line's value, %.10q", value)
	}
}
