package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

func (a *app) putallCommand() *cobra.Command {
	var (
		write writeFlags
		file  string
		trace bool
	)
	command := &cobra.Command{
		Use:   "putall -f FILE|-",
		Short: "write one batch, all or nothing",
		Long: `Write the entries of an NDJSON file as one batch: every entry or none. Each line
is an entry: {"key","value"}, with "delete":true, "ttl_ms", "if_version" or
"type_url" as needed, and "key_b64" or "value_b64" for bytes that are not UTF-8.
For more than one batch's worth of entries there is "sheaf import".`,
		Example: `  sheaf putall -f batch.ndjson
  printf '{"key":"a","value":"1"}\n{"key":"b","delete":true}\n' | sheaf putall -f - --trace`,
		GroupID: groupKeys,
		Args:    cobra.NoArgs,
	}
	command.Flags().StringVarP(&file, "file", "f", "", "NDJSON file of the batch's entries; - is standard input")
	must(command.MarkFlagRequired("file"))
	command.Flags().BoolVar(&trace, "trace", false, "show on standard error where the time went")
	write.register(command)
	write.registerTTL()
	return a.remote(command, callTimeout, func(ctx context.Context, node peer, _ []string) error {
		entries, err := a.readBatch(ctx, file)
		if err != nil {
			return err
		}
		ctx, cancel := node.bound(ctx)
		defer cancel()
		began := time.Now()
		result, err := node.PutAll(ctx, entries, write.options()...)
		took := time.Since(began)
		if trace {
			fmt.Fprint(a.stderr, waterfall(result.Stages, took, a.paint(a.stderr)))
		}
		if err != nil {
			return err
		}
		return a.printResult(result)
	})
}

// readBatch reads all lines of an NDJSON file. No line may be bad: a batch is
// written as it was meant, or not at all.
func (a *app) readBatch(ctx context.Context, path string) ([]sheaf.Entry, error) {
	from, closeFile, err := a.openInput(ctx, path)
	if err != nil {
		return nil, err
	}
	defer closeFile()
	var entries []sheaf.Entry
	most := sheaf.DefaultLimits().BatchEntries
	for rec, err := range ndjsonSource(from) {
		switch {
		case ctx.Err() != nil:
			return nil, &exitError{code: exitInterrupted, err: errors.New("interrupted before the batch was whole: nothing was written")}
		case err != nil:
			return nil, err
		case rec.bad != nil:
			return nil, &exitError{
				code: exitUsage, err: fmt.Errorf("%s: %w: nothing was written", rec.place(), rec.bad),
				next: "correct the line and send the batch again",
			}
		case len(entries) == most:
			return nil, &sheaf.Error{Code: sheaf.BatchTooLarge, Detail: fmt.Sprintf(
				"the file has more than %s entries: \"sheaf import\" writes them as many batches", humanCount(int64(most)))}
		}
		entries = append(entries, rec.entry)
		own := &entries[len(entries)-1]
		own.Key, own.Value = bytes.Clone(own.Key), bytes.Clone(own.Value)
	}
	return entries, nil
}

// openInput opens a file, or standard input for "-", which is read until its end or ctx's.
func (a *app) openInput(ctx context.Context, path string) (io.Reader, func() error, error) {
	if path == "-" {
		return interruptible(ctx, a.stdin), func() error { return nil }, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

// interruptible is a reader that ends with ctx, also while nothing comes from a terminal or a pipe.
func interruptible(ctx context.Context, from io.Reader) io.Reader {
	in, out := io.Pipe()
	go func() {
		_, err := io.Copy(out, from)
		_ = out.CloseWithError(err) // nil is the end; it never fails
	}()
	context.AfterFunc(ctx, func() { _ = in.CloseWithError(ctx.Err()) }) // it never fails
	return in
}

// waterfallWidth is how many characters the whole call takes.
const waterfallWidth = 40

// waterfall draws the stages of a batch, each beginning where the one before
// ended. They were measured as durations, on two machines: the order is the
// batch's walk, the place on the line is a reading aid. What is left of the
// call, at the end, was spent in earlier attempts and in between.
func waterfall(stages []client.Stage, took time.Duration, p paint) string {
	var sum time.Duration
	nameWidth := len("stage")
	for _, s := range stages {
		sum += s.Duration
		nameWidth = max(nameWidth, len(s.Name))
	}
	whole := max(took, sum, 1)
	var b strings.Builder
	at := time.Duration(0)
	for _, s := range stages {
		from := int(at * waterfallWidth / whole)
		at += s.Duration
		to := int(at * waterfallWidth / whole)
		bar := strings.Repeat("█", to-from)
		if to == from {
			from, bar = min(from, waterfallWidth-1), "▏"
		}
		rest := waterfallWidth - from - max(to-from, 1)
		fmt.Fprintf(&b, "%-*s %s%s%s %9s\n", nameWidth, s.Name,
			strings.Repeat(" ", from), p.bold(bar), strings.Repeat(" ", max(rest, 0)), humanTime(s.Duration))
	}
	fmt.Fprintf(&b, "%-*s %s %9s\n", nameWidth, "total", p.dim(strings.Repeat("─", waterfallWidth)), humanTime(took))
	return b.String()
}
