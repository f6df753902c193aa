package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf/internal/backup"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/node"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

func (a *app) restoreCommand() *cobra.Command {
	cfg := config.Default()
	dir, kind := cfg.DataDir, cfg.Store
	if fromEnv := a.getenv("SHEAF_DATA_DIR"); fromEnv != "" {
		dir = fromEnv
	}
	if fromEnv := a.getenv("SHEAF_STORE"); fromEnv != "" {
		kind = fromEnv
	}
	command := &cobra.Command{
		Use:   "restore FILE",
		Short: "make the data directory of a new node from a backup",
		Long: `Make the data directory of a new node from a file that "sheaf backup" made. The node is
the only one of a new cluster, with the same number of groups: the members of the old cluster
are not in it, and cannot join it with their data. Start it with "sheaf serve", and let other
nodes join.

The directory must be empty or not be there. Until it is whole no node starts on it, also
after a crash; the restore is then run again. What was restored is read back from the disk
and compared with the backup. - is standard input.

Keys keep their versions. New versions begin far above all that the old cluster can have
given after the backup.`,
		Example: `  sheaf restore sheaf.backup --data-dir /var/lib/sheaf
  sheaf serve --data-dir /var/lib/sheaf --node n1 --peer-addr 10.0.0.1:7453
  zstd -dc sheaf.backup.zst | sheaf restore - --data-dir /var/lib/sheaf`,
		GroupID: groupNode,
		Args:    exactArgs(1),
	}
	flags := command.Flags()
	flags.StringVar(&dir, "data-dir", dir, "directory to make (SHEAF_DATA_DIR)")
	flags.StringVar(&kind, "store", kind, "kind of store, which need not be that of the backup: pebble, memory or syncmap (SHEAF_STORE)")
	must(command.RegisterFlagCompletionFunc("store", cobra.FixedCompletions(config.Stores, cobra.ShellCompDirectiveNoFileComp)))
	must(command.MarkFlagDirname("data-dir"))
	command.RunE = func(command *cobra.Command, args []string) error {
		from, size, closeFrom, err := a.openBackup(args[0])
		if err != nil {
			return err
		}
		defer closeFrom()
		logger, err := telemetry.NewLogger(a.stderr, "warn", "auto")
		if err != nil {
			return err
		}
		began := time.Now()
		shown := a.newProgress("restore", size)
		tuneCollector(kind)
		restored, err := node.Restore(command.Context(), &watchedReader{from: from, shown: shown}, node.RestoreOptions{Dir: dir, Store: kind, Logger: logger})
		shown.finish()
		switch ctx := command.Context(); {
		case err == nil:
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return &exitError{code: exitInterrupted, next: "run it again", err: fmt.Errorf("interrupted; %s is as it was before: %w", dir, err)}
		case errors.Is(err, backup.ErrDamaged):
			return badBackup(args[0], err)
		default:
			return &exitError{code: exitUsage, next: `correct that and run it again; "sheaf restore --help" says what it needs`, err: err}
		}
		s := summaryOf(args[0], size, restored.Header, restored.Sections)
		s.TookMS = time.Since(began).Milliseconds()
		return a.printRestored(s, dir, kind)
	}
	return command
}

func (a *app) printRestored(s backupSummary, dir, kind string) error {
	if path, err := filepath.Abs(dir); err == nil {
		dir = path
	}
	if a.output == jsonForm {
		return a.printJSON(struct {
			backupSummary
			DataDir  string `json:"data_dir"`
			Restored string `json:"restored_store"`
		}{s, dir, kind})
	}
	flag := ""
	if kind != config.Default().Store {
		flag = " --store " + kind
	}
	_, err := fmt.Fprintf(a.stdout, "restored %s keys in %s, as of %s, in %s\nnext: sheaf serve --data-dir %s%s\n",
		humanCount(int64(s.Keys)), groupCount(s.Groups), s.Began.Format(time.RFC3339),
		humanTime(time.Duration(s.TookMS)*time.Millisecond), shellQuote(dir), flag)
	return err
}
