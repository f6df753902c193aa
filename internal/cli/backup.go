package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf/internal/backup"
)

func (a *app) backupCommand() *cobra.Command {
	var force bool
	command := &cobra.Command{
		Use:   "backup FILE",
		Short: "copy all keys of a node or cluster into one file",
		Long: `Copy all keys of a node or of a whole cluster into one file, while it serves. Any
node can be asked (--addr); it reads its own replicas.

Everything that was acknowledged before is in the copy, and every atomic batch is in it whole
or not at all, with request IDs and what is left of each key's time to live. The file is read
again and checked before it gets its name. - is standard output.

"sheaf restore" makes a new node, of a new cluster, from it.`,
		Example: `  sheaf backup sheaf-$(date +%F).backup
  sheaf backup - | zstd > sheaf.backup.zst
  sheaf backup verify sheaf.backup`,
		GroupID: groupNode,
		Args:    exactArgs(1),
	}
	command.Flags().BoolVar(&force, "force", false, "replace FILE if it is there; the old one stays until the new one is whole")
	command.AddCommand(a.backupVerifyCommand())
	return a.remote(command, 0, func(ctx context.Context, node peer, args []string) error {
		ctx, cancel := node.bound(ctx)
		defer cancel()
		if args[0] == "-" {
			return a.backupToStdout(ctx, node)
		}
		return a.backupToFile(ctx, node, args[0], force)
	})
}

// backupToFile writes the copy beside path, and gives it that name when it is whole.
func (a *app) backupToFile(ctx context.Context, node peer, path string, force bool) (err error) {
	if _, err := os.Stat(path); err == nil && !force {
		return fmt.Errorf("%s exists: choose another name, or replace it with --force", path)
	}
	partial := path + ".partial"
	f, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists: another backup is written there, or one was cut short; remove it if no backup runs", partial)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	began := time.Now()
	shown := a.newProgress("backup", -1)
	size, err := node.Backup(ctx, &watched{to: f, shown: shown})
	shown.finish()
	if err == nil {
		err = f.Sync()
	}
	var s backupSummary
	if err == nil {
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			s, err = a.verify(f, path, size)
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := publish(partial, path, force); err != nil {
		return err
	}
	s.TookMS = time.Since(began).Milliseconds()
	return a.printBackup(s)
}

// publish gives a whole file its name, durably.
func publish(partial, path string, force bool) error {
	// A link does not replace what somebody else has put there meanwhile.
	name := os.Link
	if force {
		name = os.Rename
	}
	if err := name(partial, path); err != nil {
		return err
	}
	if !force {
		if err := os.Remove(partial); err != nil {
			return err
		}
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// backupToStdout checks the copy on its way.
func (a *app) backupToStdout(ctx context.Context, node peer) error {
	if terminal(a.stdout) {
		return errors.New("a backup is no text for a terminal: name a file, or redirect the output")
	}
	began := time.Now()
	read, write := io.Pipe()
	type outcome struct {
		s   backupSummary
		err error
	}
	checked := make(chan outcome, 1)
	go func() {
		s, err := a.verify(read, "-", -1)
		_ = read.CloseWithError(err) // so that writing ends too
		checked <- outcome{s, err}
	}()
	shown := a.newProgress("backup", -1)
	size, err := node.Backup(ctx, io.MultiWriter(&watched{to: a.stdout, shown: shown}, write))
	shown.finish()
	_ = write.CloseWithError(err) // nil is the end of the file
	c := <-checked
	if err == nil {
		err = c.err
	}
	if err != nil {
		return err
	}
	c.s.Bytes, c.s.TookMS = size, time.Since(began).Milliseconds()
	// Standard output has the file.
	_, err = fmt.Fprintln(a.stderr, c.s.line())
	return err
}

// watched shows how much is written.
type watched struct {
	to    io.Writer
	shown progress
}

func (w *watched) Write(data []byte) (int, error) {
	n, err := w.to.Write(data)
	w.shown.add(0, int64(n))
	return n, err
}

func (a *app) backupVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "read a backup from end to end, and say whether it is whole",
		Long: `Read a backup from end to end, compare all of its checksums and say what is in it.
Nothing is written, and no node is asked. - is standard input. The exit code is 0 only if
the file is whole, and 7 if it is damaged.

The only proof that a backup can be restored is to restore it: do that too, now and then.`,
		Example: `  sheaf backup verify sheaf.backup
  zstd -dc sheaf.backup.zst | sheaf backup verify -`,
		Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			from, size, closeFrom, err := a.openBackup(args[0])
			if err != nil {
				return err
			}
			defer closeFrom()
			began := time.Now()
			shown := a.newProgress("verify", size)
			s, err := a.verify(&watchedReader{from: from, shown: shown}, args[0], size)
			shown.finish()
			if err != nil {
				return err
			}
			s.TookMS = time.Since(began).Milliseconds()
			return a.printBackup(s)
		},
	}
}

// openBackup opens a file to read, or standard input; size is -1 if it is not known.
func (a *app) openBackup(path string) (from io.Reader, size int64, closeFrom func(), err error) {
	if path == "-" {
		return a.stdin, -1, func() {}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, nil, errors.Join(err, f.Close())
	}
	return f, info.Size(), func() { _ = f.Close() }, nil // it was only read
}

// watchedReader shows how much is read.
type watchedReader struct {
	from  io.Reader
	shown progress
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.shown.add(0, int64(n))
	return n, err
}

// verify reads a backup to its end.
func (a *app) verify(from io.Reader, path string, size int64) (backupSummary, error) {
	h, sections, err := backup.Verify(from)
	if err != nil {
		return backupSummary{}, badBackup(path, err)
	}
	return summaryOf(path, size, h, sections), nil
}

// badBackup is the error of a file that is not a whole backup.
func badBackup(path string, err error) error {
	if path == "-" {
		path = "standard input"
	}
	code, next := exitUsage, `"sheaf backup verify --help" says what is checked`
	if errors.Is(err, backup.ErrDamaged) {
		code, next = exitDamaged, "nothing was changed by this; an older backup may be whole: try \"sheaf backup verify\" on it"
	}
	return &exitError{code: code, next: next, err: fmt.Errorf("%s: %w", path, err)}
}

// backupSummary is what a backup has, for people and programs.
type backupSummary struct {
	File      string    `json:"file"`
	Bytes     int64     `json:"bytes,string"`
	Cluster   string    `json:"cluster,omitempty"`
	Node      string    `json:"node,omitempty"`
	Began     time.Time `json:"began"`
	MadeBy    string    `json:"version"`
	StoreKind string    `json:"store"`
	Groups    int       `json:"groups"`
	Keys      uint64    `json:"keys,string"`
	// Rows remember request IDs: one for each group that a batch has keys in.
	Rows        uint64    `json:"request_id_rows,string"`
	TookMS      int64     `json:"took_ms"`
	GroupStates []groupAt `json:"group_states"`
}

// groupAt is where one group's log stood.
type groupAt struct {
	Group   int    `json:"group"`
	Index   uint64 `json:"index,string"`
	Version uint64 `json:"last_version,string"`
	Keys    uint64 `json:"keys,string"`
}

func summaryOf(path string, size int64, h backup.Header, sections []backup.Section) backupSummary {
	s := backupSummary{
		File: path, Bytes: size, Cluster: h.Cluster, Node: h.Node, Began: h.Began, MadeBy: h.Version, StoreKind: h.Store, Groups: h.Groups,
	}
	for _, one := range sections {
		s.Keys += one.Counts.Keys
		s.Rows += one.Counts.RequestIDs
		s.GroupStates = append(s.GroupStates, groupAt{one.Group, one.Meta.Index, one.Meta.Clock, one.Counts.Keys})
	}
	return s
}

func (s *backupSummary) line() string {
	of := "a node alone"
	if s.Cluster != "" {
		of = fmt.Sprintf("cluster %s, from node %s", s.Cluster, s.Node)
	}
	size := ""
	if s.Bytes >= 0 {
		size = humanBytes(s.Bytes) + ", "
	}
	return fmt.Sprintf("%s is whole: %s%s keys in %s of %s, as of %s",
		s.File, size, humanCount(int64(s.Keys)), groupCount(s.Groups), of, s.Began.Format(time.RFC3339))
}

func groupCount(n int) string {
	if n == 1 {
		return "1 group"
	}
	return fmt.Sprintf("%d groups", n)
}

func (a *app) printBackup(s backupSummary) error {
	if a.output == jsonForm {
		return a.printJSON(s)
	}
	_, err := fmt.Fprintln(a.stdout, s.line())
	return err
}
