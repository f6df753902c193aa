// Command loader loads the rows of a CSV file, many in a batch and several batches at a time.
//
// The first row names the columns. Each other row becomes one key, the prefix and the value of the
// key column, whose value is the row as a JSON object. Loading the same file again changes nothing
// but versions, so whatever went wrong, the remedy is to load it again.
//
// It does not resume: see `sheaf import` for a loader with progress and other formats.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/sheafdb/sheaf/client"
)

const usage = `Load the rows of a CSV file, or of standard input. The first row names the columns.

Example:
  printf 'id,name\n7,Ada\n8,Grace\n' | loader --addr localhost:7450 --prefix user/ --key id

Flags:
`

func main() {
	var o options
	addr := flag.String("addr", "localhost:7450", "`host:port` of a node, or of several of one cluster with commas between")
	timeout := flag.Duration("timeout", client.DefaultTimeout, "how long one batch may take, with its retries")
	flag.StringVar(&o.key, "key", "", "the `column` that the keys are taken from (default the first)")
	flag.StringVar(&o.prefix, "prefix", "", "what goes before each key")
	flag.IntVar(&o.batchEntries, "batch", 1000, "entries in a batch, at most 100,000")
	flag.IntVar(&o.lanes, "in-flight", 4, "batches under way at a time")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, *addr, o, flag.Args(), client.WithTimeout(*timeout)); err != nil {
		fmt.Fprintln(os.Stderr, "loader:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, addr string, o options, files []string, opts ...client.Option) error {
	in := io.Reader(interruptible(ctx, os.Stdin))
	switch len(files) {
	case 0:
	case 1:
		file, err := os.Open(files[0])
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // it is only read
		in = file
	default:
		return fmt.Errorf("%d files were given: load one at a time", len(files))
	}
	c, err := client.New(addr, opts...)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // no call is under way
	loaded, err := load(ctx, c, o, in)
	fmt.Printf("%d rows are loaded\n", loaded)
	if errors.Is(ctx.Err(), context.Canceled) {
		return errors.New("interrupted; load the file again for the rest of it")
	}
	return err
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

// rows yields each row's key and its JSON object to visit.
func rows(in io.Reader, keyColumn string, visit func(key string, value []byte) error) error {
	table := csv.NewReader(in)
	names, err := table.Read()
	if err != nil {
		return fmt.Errorf("read the row that names the columns: %w", err)
	}
	column := 0
	if keyColumn != "" {
		if column = slices.Index(names, keyColumn); column < 0 {
			return fmt.Errorf("--key: there is no column %q among %q", keyColumn, names)
		}
	}
	for {
		row, err := table.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the CSV: %w", err) // it names the line
		}
		object := make(map[string]string, len(names))
		for i, name := range names {
			object[name] = row[i]
		}
		value, err := json.Marshal(object)
		if err != nil {
			return err
		}
		if err := visit(row[column], value); err != nil {
			return err
		}
	}
}
