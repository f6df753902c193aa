package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

// TestASourceThatIsSilentEndsWithASignal, and what it had sent is known to the line.
func TestASourceThatIsSilentEndsWithASignal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stdin, feed := io.Pipe()
	defer feed.Close() //nolint:errcheck // it ends what reads
	var to target
	im := &importer{begin: to.begin, batchEntries: 2, batchBytes: 1 << 20, inFlight: 2}
	done := make(chan summary)
	go func() {
		s, err := im.run(ctx, ndjsonSource(interruptible(ctx, stdin)))
		if err != nil {
			t.Error(err)
		}
		done <- s
	}()
	if _, err := io.WriteString(feed, "{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"b\",\"value\":\"1\"}\n{\"key\":\"c\",\"value\":\"1\"}\n{\"ke"); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 1000 && to.written() < 2; i++ {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if s := <-done; s.Complete || s.Records != 2 || s.Entries != 2 {
		t.Errorf("%+v: want the two records that made a batch", s)
	}
}

func (w *target) written() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.keys)
}

// target keeps what an importer writes.
type target struct {
	mu      sync.Mutex
	keys    map[string]string
	batches []int
	working int
	most    int
	fail    string        // key whose batch is refused
	takes   time.Duration // per batch
}

// begin applies batches in the order in which they begin, as a stream does where they share keys.
func (w *target) begin(_ context.Context, entries []sheaf.Entry) (func() error, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.working++
	w.most = max(w.most, w.working)
	var refused error
	for _, e := range entries {
		if string(e.Key) == w.fail {
			refused = &sheaf.Error{Code: sheaf.NoSpace}
		}
	}
	if refused == nil {
		if w.keys == nil {
			w.keys = make(map[string]string)
		}
		for _, e := range entries {
			w.keys[string(e.Key)] = string(e.Value)
		}
		w.batches = append(w.batches, len(entries))
	}
	return func() error {
		if w.takes > 0 {
			<-time.After(w.takes)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.working--
		return refused
	}, nil
}

// pairs is a source of "key=value" words; a word without "=" is bad.
func pairs(words string) source {
	return func(yield func(*record, error) bool) {
		for i, word := range strings.Fields(words) {
			key, value, ok := strings.Cut(word, "=")
			rec := record{where: fmt.Sprintf("word %d", i+1), entry: sheaf.Put(key, value)}
			if !ok {
				rec.bad = errors.New("bad")
			}
			if !yield(&rec, nil) {
				return
			}
		}
	}
}

func (w *target) importer(entries, inFlight int) *importer {
	return &importer{
		begin: w.begin, batchEntries: entries, batchBytes: 1 << 20, inFlight: inFlight,
		onBad: func(rec *record) error { return fmt.Errorf("%s: %w", rec.place(), rec.bad) },
	}
}

func TestImportOfManyBatchesWritesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &target{takes: time.Second}
		s, err := w.importer(2, 3).run(t.Context(), pairs("a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 i=9"))
		if err != nil || !s.Complete || s.Entries != 9 || s.Batches != 5 || s.Records != 9 {
			t.Errorf("summary %+v, error %v", s, err)
		}
		if len(w.keys) != 9 || w.most != 3 {
			t.Errorf("wrote %v with %d at a time, want 9 keys and 3 at a time", w.keys, w.most)
		}
		// Five batches of a second each, three at a time.
		if s.Elapsed != 2*time.Second {
			t.Errorf("took %v, want 2s", s.Elapsed)
		}
	})
}

func TestImportKeepsTheLaterOfTwoEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &target{takes: time.Second}
		// a within a batch's worth, b over batches in flight.
		if _, err := w.importer(3, 8).run(t.Context(), pairs("a=1 a=2 b=1 c=1 d=1 b=2 b=3")); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"a": "2", "b": "3", "c": "1", "d": "1"}
		if diff := cmp.Diff(want, maps.Clone(w.keys)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestImportCutsBatchesByBytes(t *testing.T) {
	w := &target{}
	im := w.importer(100, 1)
	im.batchBytes = 100
	big := strings.Repeat("x", 60)
	if _, err := im.run(t.Context(), pairs("a="+big+" b="+big+" c=1 d="+big+big)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2, 1}, w.batches); diff != "" {
		t.Errorf("entries per batch (-want +got):\n%s", diff)
	}
}

func TestImportStopsAtABadRecordWithAllBeforeItWritten(t *testing.T) {
	w := &target{}
	s, err := w.importer(2, 4).run(t.Context(), pairs("a=1 b=2 c=3 bad d=4"))
	if err == nil || err.Error() != "word 4: bad" {
		t.Errorf("error %v", err)
	}
	if s.Records != 3 || s.Entries != 3 || s.Complete || len(w.keys) != 3 {
		t.Errorf("summary %+v, wrote %v", s, w.keys)
	}
}

func TestImportGoesOnWhereAFailureLeftIt(t *testing.T) {
	const all = "a=1 b=2 c=3 bad d=4 e=5 f=6 g=7"
	skipping := func(w *target) *importer {
		im := w.importer(2, 2)
		im.onBad = func(*record) error { return nil }
		return im
	}
	w := &target{fail: "d"}
	s, err := skipping(w).run(t.Context(), pairs(all))
	if !errors.Is(err, sheaf.NoSpace) || s.Complete {
		t.Fatalf("summary %+v, error %v", s, err)
	}
	// The batch of c and d failed: c is the third record.
	if s.Records != 2 {
		t.Errorf("would go on behind %d records, want 2", s.Records)
	}
	w.fail = ""
	again := skipping(w)
	again.skip = s.Records
	if s, err = again.run(t.Context(), pairs(all)); err != nil || s.Records != 8 || s.Skipped != 1 {
		t.Errorf("summary %+v, error %v", s, err)
	}
	if len(w.keys) != 7 {
		t.Errorf("wrote %v", w.keys)
	}
}

func TestASignalStopsAnImportBehindTheBatchesInFlight(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &target{}
	interrupted := func(yield func(*record, error) bool) {
		n := 0
		for rec, err := range pairs("a=1 b=2 c=3 d=4 e=5") {
			if n++; n == 4 {
				cancel()
			}
			if !yield(rec, err) {
				return
			}
		}
	}
	s, err := w.importer(2, 4).run(ctx, interrupted)
	if err != nil || s.Complete || s.Records != 2 || s.Entries != 2 || len(w.keys) != 2 {
		t.Errorf("summary %+v, error %v, wrote %v", s, err, w.keys)
	}
}
