package cli

import (
	"bufio"
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf/client"
)

// shownBytes is how much of a value the table of a scan shows.
const shownBytes = 60

func (a *app) scanCommand() *cobra.Command {
	var (
		prefix, start string
		limit         uint64
	)
	command := &cobra.Command{
		Use:   "scan",
		Short: "list keys in order",
		Long: `List keys in the order of their bytes, with their versions and the beginning of
their values. With -o json, whole entries as NDJSON, which "sheaf import" takes.`,
		Example: `  sheaf scan --prefix users/ --limit 10
  sheaf scan --start users/m -o json`,
		GroupID: groupKeys,
		Args:    cobra.NoArgs,
	}
	flags := command.Flags()
	flags.StringVar(&prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar(&start, "start", "", "begin at this key, or behind it if it is not there")
	flags.Uint64Var(&limit, "limit", 0, "at most this many keys; 0 is all")
	return a.remote(command, 0, func(ctx context.Context, node peer, _ []string) (err error) {
		ctx, cancel := node.bound(ctx)
		defer cancel()
		out := bufio.NewWriter(a.stdout)
		defer func() {
			if flushed := out.Flush(); err == nil {
				err = flushed
			}
		}()
		buffered := *a
		buffered.stdout = out
		if a.output == table {
			fmt.Fprintf(out, "%-40s %12s %10s  %s\n", "KEY", "VERSION", "BYTES", "VALUE")
		}
		for item, err := range node.Scan(ctx, client.ScanOptions{Prefix: []byte(prefix), Start: []byte(start), Limit: limit}) {
			if err != nil {
				return err
			}
			if a.output == jsonForm {
				err = buffered.printJSON(lineOf(item))
			} else {
				_, err = fmt.Fprintf(out, "%-40s %12d %10d  %s\n",
					readable(item.Key), item.Version, len(item.Value), beginning(item.Value))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// beginning is the first part of a value, readable.
func beginning(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	if len(value) <= shownBytes {
		return readable(value)
	}
	end := shownBytes
	for back := range utf8.UTFMax { // do not cut a character in two
		if utf8.RuneStart(value[shownBytes-back]) {
			end = shownBytes - back
			break
		}
	}
	return readable(value[:end]) + "…"
}
