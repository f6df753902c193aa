package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf/client"
)

const exportBufferBytes = 256 << 10

func (a *app) exportCommand() *cobra.Command {
	var prefix, start, file string
	command := &cobra.Command{
		Use:   "export",
		Short: "write keys as NDJSON that import takes",
		Long: `Write keys with their values as NDJSON, one entry per line, in the order of the
keys. "sheaf import --ndjson" takes it. Versions are for information, and how
long a key had left to live is not in it.

An export is not the picture of one instant: writes that happen meanwhile may be
in it or not.`,
		Example: `  sheaf export > backup.ndjson
  sheaf export --prefix users/ -f users.ndjson`,
		GroupID: groupBulk,
		Args:    cobra.NoArgs,
	}
	flags := command.Flags()
	flags.StringVar(&prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar(&start, "start", "", "begin at this key, to go on after an interruption")
	flags.StringVarP(&file, "file", "f", "-", "file to write, which must not exist; - is standard output")
	return a.remote(command, 0, func(ctx context.Context, node peer, _ []string) error {
		to, closeTo, err := a.openOutput(file)
		if err != nil {
			return err
		}
		ctx, cancel := node.bound(ctx)
		defer cancel()
		entries, err := a.export(ctx, node, client.ScanOptions{Prefix: []byte(prefix), Start: []byte(start)}, to)
		if err = errors.Join(err, closeTo()); err != nil {
			return fmt.Errorf("%s entries were exported before it stopped: %w", humanCount(int64(entries)), err)
		}
		fmt.Fprintf(a.stderr, "exported %s entries\n", humanCount(int64(entries)))
		return nil
	})
}

// openOutput does not overwrite: a backup that replaces the last good one with
// half of a new one is worse than none.
func (a *app) openOutput(path string) (io.Writer, func() error, error) {
	if path == "-" {
		return a.stdout, func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, nil, fmt.Errorf("%s exists: choose another name, or remove it first", path)
	}
	if err != nil {
		return nil, nil, err
	}
	return f, func() error { return errors.Join(f.Sync(), f.Close()) }, nil
}

func (a *app) export(ctx context.Context, node peer, o client.ScanOptions, to io.Writer) (entries int, err error) {
	out := bufio.NewWriterSize(to, exportBufferBytes)
	printer := app{stdout: out}
	var shown progress = silent{}
	if !terminal(to) {
		shown = a.newProgress("export", -1)
	}
	defer shown.finish()
	for item, err := range node.Scan(ctx, o) {
		if err == nil {
			err = printer.printJSON(lineOf(item))
		}
		if err != nil {
			return entries, errors.Join(err, out.Flush())
		}
		entries++
		shown.add(1, int64(len(item.Key)+len(item.Value)))
	}
	return entries, out.Flush()
}
