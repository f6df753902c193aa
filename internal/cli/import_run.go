package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// maxNamedSkips bounds how many skipped records are named one by one.
const maxNamedSkips = 20

func (a *app) runImport(ctx context.Context, node peer, f importFlags) error {
	from, total, closeSource, err := a.openSource(ctx, f)
	if err != nil {
		return err
	}
	defer closeSource()
	// A signal stops what is read, and not the batches in flight.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stream, err := node.PutStream(life, client.At(f.level.Consistency))
	if err != nil {
		return err
	}
	shown := a.newProgress("import", total)
	im := &importer{
		batchEntries: f.batchEntries, batchBytes: int(f.batchBytes), inFlight: f.inFlight, skip: f.skip,
		progress: shown, onBad: a.badRecords(f),
		begin: func(ctx context.Context, entries []sheaf.Entry) (func() error, error) {
			ctx, cancel := node.bound(ctx)
			pending, err := stream.Put(ctx, entries)
			if err != nil {
				cancel()
				return nil, err
			}
			return func() error {
				defer cancel()
				_, err := pending.Wait(ctx)
				return err
			}, nil
		},
	}
	shown.watch(im.p95)
	s, err := im.run(ctx, prefixed(from, f.prefix))
	if err != nil {
		end() // whose time is over is not waited for
	}
	_ = stream.Close() // the batches have told their errors
	shown.finish()
	return a.endImport(ctx, f, s, err)
}

// openSource opens what is to be loaded. total is its size in bytes, or -1.
func (a *app) openSource(ctx context.Context, f importFlags) (from source, total int64, closeSource func() error, err error) {
	if f.dir != "" {
		return dirSource(f.dir), measureDir(f.dir), func() error { return nil }, nil
	}
	path := f.ndjson + f.csv // one of them is empty
	r, closeSource, err := a.openInput(ctx, path)
	if err != nil {
		return nil, 0, nil, err
	}
	total = -1
	if path != "-" {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			total = info.Size()
		}
	}
	if f.csv != "" {
		return csvSource(r, f.keyColumn, f.valueColumn), total, closeSource, nil
	}
	return ndjsonSource(r), total, closeSource, nil
}

// prefixed puts prefix before every key.
func prefixed(from source, prefix string) source {
	if prefix == "" {
		return from
	}
	return func(yield func(*record, error) bool) {
		var key []byte
		for rec, err := range from {
			if err == nil && rec.bad == nil {
				key = append(append(key[:0], prefix...), rec.entry.Key...)
				rec.entry.Key = key
				checked(rec)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// badRecords names what is skipped, the first few one by one, or stops at it.
func (a *app) badRecords(f importFlags) func(*record) error {
	named := 0
	return func(rec *record) error {
		if f.dir == "" && !f.skipBad {
			return &exitError{
				code: exitUsage, next: "correct it, or leave bad lines out with --skip-bad",
				err: fmt.Errorf("%s: %w", rec.place(), rec.bad),
			}
		}
		if named++; named <= maxNamedSkips {
			fmt.Fprintf(a.stderr, "skipped: %s: %v\n", rec.place(), rec.bad)
		} else if named == maxNamedSkips+1 {
			fmt.Fprintln(a.stderr, "skipped: more of them are counted, not named")
		}
		return nil
	}
}

// endImport prints the summary, and how to go on if the import is not complete.
func (a *app) endImport(ctx context.Context, f importFlags, s summary, err error) error {
	if s.Records == 0 && exitCode(err) == exitUsage {
		return err // there is nothing to go on from
	}
	if printed := a.printSummary(s); printed != nil {
		return errors.Join(err, printed)
	}
	next := fmt.Sprintf("go on behind what is written with: %s", f.again(s.Records))
	switch {
	case err != nil:
		end := &exitError{
			code: exitCode(err), next: next,
			err: fmt.Errorf("%s entries were written before it stopped: %w", humanCount(int64(s.Entries)), err),
		}
		switch row, _ := sheaf.CodeOf(err).Row(); {
		case end.code == exitUsage:
			end.next = nextOf(err) + "; then " + next
		case row.Code != "" && row.Retry != sheaf.RetrySameID && row.Retry != sheaf.RetryElsewhere:
			end.next = fmt.Sprintf("correct what stands behind the first %s records; then %s", humanCount(int64(s.Records)), next)
		}
		return end
	case s.Records < f.skip && s.Complete:
		return &exitError{
			code: exitUsage, next: "give the number that the interrupted import has told, and the same file",
			err: fmt.Errorf("--skip is %d, and there are only %d records: nothing was written", f.skip, s.Records),
		}
	case ctx.Err() != nil && !s.Complete:
		return &exitError{code: exitInterrupted, next: next, err: errors.New("interrupted behind the batches in flight")}
	case f.strict && s.Skipped > 0:
		return &exitError{
			code: exitNotApplied, next: "correct what was skipped, and import it again",
			err: fmt.Errorf("%s records were skipped (--strict)", humanCount(int64(s.Skipped))),
		}
	}
	return nil
}

// nextOf is what to do about an error of what is loaded.
func nextOf(err error) string {
	if own, ok := errors.AsType[*exitError](err); ok && own.next != "" {
		return own.next
	}
	return "correct it"
}

// again is the command that takes an import up where it stopped.
func (f importFlags) again(records int) string {
	return fmt.Sprintf("%s --skip %d", f.asGiven, records)
}

// shellQuote makes one word of a POSIX shell.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (a *app) printSummary(s summary) error {
	if a.output == jsonForm {
		return a.printJSON(struct {
			summary
			Seconds float64 `json:"seconds"`
			P50     float64 `json:"p50_ms"`
			P95     float64 `json:"p95_ms"`
		}{s, s.Elapsed.Seconds(), millis(s.P50), millis(s.P95)})
	}
	line := "imported " + s.String()
	if s.Skipped > 0 {
		line += fmt.Sprintf("; %s skipped", humanCount(int64(s.Skipped)))
	}
	_, err := fmt.Fprintln(a.stdout, line)
	return err
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
