package cli

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf"
)

// importer turns a source into batches and writes them, several at a time.
//
// Invariants:
//   - The batches cut the source in order, so the records that are written are
//     all those before some point, once nothing is in flight. That point is
//     where an import goes on.
//   - Of two entries for one key the later one in the source wins: a key stands
//     in one batch once, and batches that share a key are applied in the order in
//     which they begin.
//   - Batches that have begun are finished: a signal only stops new ones.
type importer struct {
	// begin starts to write a batch, behind those before it where they share keys. It has taken
	// the entries over when it returns; wait then says what became of them.
	begin func(context.Context, []sheaf.Entry) (wait func() error, err error)
	// batchEntries and batchBytes bound a batch, inFlight the batches at work.
	batchEntries int
	batchBytes   int
	inFlight     int
	// skip is how many records at the beginning are already written.
	skip int
	// onBad is told each record that cannot be written; its error ends the import.
	onBad func(*record) error
	// progress may be nil.
	progress progress

	next    batch
	slots   chan struct{} // one token for each batch in flight
	mu      sync.Mutex    // guards what follows, shared with the batches in flight
	summary summary
	times   *hdrhistogram.Histogram // of batches, in microseconds
	failed  *batch                  // the first one, in the source's order
	failing atomic.Bool             // there is one
}

// maxBatchMicros is the longest time of a batch that the histogram can hold.
const maxBatchMicros = int64(time.Hour / time.Microsecond)

// run writes the source. The summary is right also when there is an error.
func (im *importer) run(ctx context.Context, from source) (summary, error) {
	began := time.Now()
	im.slots = make(chan struct{}, im.inFlight)
	im.times = hdrhistogram.New(1, maxBatchMicros, 3)
	records, complete, err := im.read(ctx, from)
	for range im.inFlight { // those in flight come to their end
		im.slots <- struct{}{}
	}
	im.next.release()
	s := im.summary
	s.Elapsed = time.Since(began)
	s.P50, s.P95 = micros(im.times.ValueAtQuantile(50)), micros(im.times.ValueAtQuantile(95))
	s.Records = records
	if im.failed != nil {
		s.Records, err = im.failed.before, im.failed.err
	}
	s.Complete = complete && err == nil
	return s, err
}

// read cuts the source into batches. It returns how many records it took over,
// and whether those are all.
func (im *importer) read(ctx context.Context, from source) (records int, complete bool, err error) {
	for rec, err := range from {
		switch {
		case ctx.Err() != nil || im.failing.Load(): // who is interrupted may read half of a line
			return im.next.beforeOr(records), false, nil
		case err != nil:
			im.send(ctx)
			return records, false, err
		case records < im.skip:
		case rec.bad != nil:
			if err := im.onBad(rec); err != nil {
				im.send(ctx)
				return records, false, err
			}
			im.mu.Lock()
			im.summary.Skipped++
			im.mu.Unlock()
		default:
			im.add(ctx, rec, records)
		}
		records++
	}
	if ctx.Err() != nil {
		return im.next.beforeOr(records), false, nil
	}
	im.send(ctx)
	return records, true, nil
}

// entryOverhead is about what the encoding of an entry adds to key and value.
const entryOverhead = 16

// add takes a record into the next batch, after sending that if the record does
// not fit, or its key is there.
func (im *importer) add(ctx context.Context, rec *record, records int) {
	size := len(rec.entry.Key) + len(rec.entry.Value) + len(rec.entry.TypeURL) + entryOverhead
	if len(im.next.entries) == im.batchEntries || im.next.bytes+size > im.batchBytes {
		im.send(ctx)
	}
	for !im.next.take(&rec.entry, im.batchEntries, records) {
		im.send(ctx)
	}
	im.next.bytes += size
	im.next.payload += int64(len(rec.entry.Key) + len(rec.entry.Value))
	im.next.read += rec.bytes
}

// send begins to write the next batch, if there is one.
func (im *importer) send(ctx context.Context) {
	if len(im.next.entries) == 0 {
		return
	}
	b := im.next
	b.count = len(b.entries)
	im.slots <- struct{}{}
	// The import goes on at the batch that failed, so this one's turn comes again.
	if im.failing.Load() {
		im.next = b.release()
		<-im.slots
		return
	}
	began := time.Now()
	wait, err := im.begin(context.WithoutCancel(ctx), b.entries)
	im.next = b.release() // which begin has taken over
	if err != nil {
		wait = func() error { return err }
	}
	go im.finish(&b, began, wait)
}

func (im *importer) finish(b *batch, began time.Time, wait func() error) {
	b.err = wait()
	took := time.Since(began)
	im.mu.Lock()
	if b.err == nil {
		im.summary.Batches++
		im.summary.Entries += b.count
		im.summary.Bytes += b.payload
		_ = im.times.RecordValue(min(max(took.Microseconds(), 1), maxBatchMicros))
	} else if im.failed == nil || b.before < im.failed.before {
		im.failed = b
		im.failing.Store(true)
	}
	im.mu.Unlock()
	if im.progress != nil && b.err == nil {
		im.progress.add(b.count, b.read)
	}
	<-im.slots
}

// p95 is the time that 95 of 100 batches so far took at most.
func (im *importer) p95() time.Duration {
	im.mu.Lock()
	defer im.mu.Unlock()
	return micros(im.times.ValueAtQuantile(95))
}
