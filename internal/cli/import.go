package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/config"
)

// importFlags are those of `sheaf import`.
type importFlags struct {
	dir, ndjson, csv       string
	keyColumn, valueColumn string
	prefix                 string
	level                  level
	batchEntries           int
	batchBytes             sizeFlag
	inFlight, skip         int
	skipBad, strict        bool
	// asGiven is the command with all its flags but --skip.
	asGiven string
}

// maxInFlight bounds --in-flight, and with it the memory of an import.
const maxInFlight = 64

func (a *app) importCommand() *cobra.Command {
	f := importFlags{batchBytes: 4 << 20}
	command := &cobra.Command{
		Use:   "import (--dir DIR | --ndjson FILE|- | --csv FILE|-)",
		Short: "load many keys, in many batches",
		Long: `Load a directory tree, an NDJSON file or a CSV file. Entries are gathered into
batches; each batch is written whole or not at all, and once.

  --dir     each file is a key: its path below DIR, with "/", and its contents.
            Links, special files and files above 16 MiB are named and skipped
            (with --strict the exit code is then 2).
  --ndjson  each line is an entry, as for "sheaf putall". Lines of "sheaf scan
            -o json" and "sheaf export" are entries; their version is ignored.
  --csv     each row below the header is a key: its first column, or
            --key-column. The value is --value-column, or the row as JSON.

A bad line stops the import there, with everything before it written; --skip-bad
counts such lines instead. Of two entries for one key the later one wins.
Ctrl-C stops behind the batches in flight and says how to go on.`,
		Example: `  sheaf import --dir "$(go env GOROOT)/src" --prefix go/
  sheaf export | sheaf import --ndjson - --addr other:7450
  sheaf import --csv users.csv --key-column id`,
		GroupID: groupBulk,
		Args:    cobra.NoArgs,
	}
	f.register(command)
	return a.remote(command, callTimeout, func(ctx context.Context, node peer, _ []string) error {
		if err := f.validate(); err != nil {
			return err
		}
		f.asGiven = asGiven(command, "skip")
		return a.runImport(ctx, node, f)
	})
}

func (f *importFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.dir, "dir", "", "directory tree to load")
	flags.StringVar(&f.ndjson, "ndjson", "", "NDJSON file to load; - is standard input")
	flags.StringVar(&f.csv, "csv", "", "CSV file with a header row to load; - is standard input")
	flags.StringVar(&f.keyColumn, "key-column", "", "with --csv: column of the keys (default: the first)")
	flags.StringVar(&f.valueColumn, "value-column", "", "with --csv: column of the values (default: the whole row as JSON)")
	flags.StringVar(&f.prefix, "prefix", "", "put this before every key")
	addLevel(command, &f.level)
	flags.IntVar(&f.batchEntries, "batch-entries", 1000, "most entries of a batch")
	flags.Var(&f.batchBytes, "batch-bytes", "most bytes of a batch; a larger entry is a batch of its own")
	flags.IntVar(&f.inFlight, "in-flight", 16, "batches on their way at a time")
	flags.IntVar(&f.skip, "skip", 0, "leave out this many records at the beginning, to go on after an interruption")
	flags.BoolVar(&f.skipBad, "skip-bad", false, "count bad lines and go on")
	flags.BoolVar(&f.strict, "strict", false, "exit with 2 if anything was skipped")
	command.MarkFlagsOneRequired("dir", "ndjson", "csv")
	command.MarkFlagsMutuallyExclusive("dir", "ndjson", "csv")
}

func (f *importFlags) validate() error {
	limits := sheaf.DefaultLimits()
	switch {
	case f.csv == "" && (f.keyColumn != "" || f.valueColumn != ""):
		return errors.New("--key-column and --value-column belong to --csv")
	case f.batchEntries < 1 || f.batchEntries > limits.BatchEntries:
		return fmt.Errorf("--batch-entries is %d: use 1 to %d", f.batchEntries, limits.BatchEntries)
	case f.batchBytes < 1 || int(f.batchBytes) > limits.BatchBytes:
		return fmt.Errorf("--batch-bytes is %s: use 1 to %s", f.batchBytes.String(), config.FormatSize(int64(limits.BatchBytes)))
	case f.inFlight < 1 || f.inFlight > maxInFlight:
		return fmt.Errorf("--in-flight is %d: use 1 to %d", f.inFlight, maxInFlight)
	case f.skip < 0:
		return fmt.Errorf("--skip is %d: use 0 or more", f.skip)
	}
	return nil
}
