package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/store"
)

// dataDir is the directory that a node owns while it runs:
//
//	LOCK     held by the process; PID names it
//	NODE     the identity, written once the log and the store exist
//	FORMING  in its place while the first nodes of a cluster meet
//	RESTORING while a backup is restored: with it no node starts
//	STATE    which directory is the store, if it is not store/
//	group-N/ STATE and store of the groups after the first, which is above
//	BALLAST  space set aside for a full disk (see diskGuard)
//	log/     the log
//	store/   the store
//
// NODE is the proof that the directory was in use: with it, a log that is not
// there has been lost, and the node refuses to start rather than begin anew.
type dataDir struct {
	fs       vfs.FS
	path     string
	lock     io.Closer
	identity identity
	fresh    bool // NODE is yet to be written
	// madeDir and madeLock: they were not there before.
	madeDir, madeLock bool
}

type identity struct {
	Format  int       `json:"format"`
	NodeID  string    `json:"node_id"`
	Store   string    `json:"store"`
	Created time.Time `json:"created"`

	// ID is the node's number, and its replicas'; a node alone is 1. The others are empty
	// in a node alone.
	ID uint64 `json:"id"`
	// Groups is how many the node has a replica of: all of them.
	Groups  int    `json:"groups"`
	Cluster string `json:"cluster,omitempty"`
	// Members are the first of the cluster, if this node is one of them: a state that is
	// begun anew begins with them. Known are those of now: watchMembers alone touches them.
	Members []cluster.Member `json:"members,omitempty"`
	Known   []cluster.Member `json:"known,omitempty"`
	// Joined: the node came later. Its states come from other nodes.
	Joined bool `json:"joined,omitempty"`
}

// self is the node in its cluster.
func (i *identity) self() cluster.Member {
	for _, m := range slices.Concat(i.Known, i.Members) {
		if m.ID == i.ID {
			return m
		}
	}
	return cluster.Member{}
}

const dataFormat = 2

const (
	lockFile     = "LOCK"
	pidFile      = "PID"
	identityFile = "NODE"
	formingFile  = "FORMING"
	ballastFile  = "BALLAST"
)

// lockDataDir creates and locks a data directory.
func lockDataDir(fs vfs.FS, path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("resolve the data directory: %w", err)
	}
	d := &dataDir{fs: fs, path: path}
	_, err = fs.Stat(path)
	d.madeDir = errors.Is(err, os.ErrNotExist)
	_, err = fs.Stat(d.file(lockFile))
	d.madeLock = errors.Is(err, os.ErrNotExist)
	if err := makeDir(fs, path); err != nil {
		return nil, fmt.Errorf("create the data directory %s: %w: choose another with --data-dir", path, err)
	}
	d.lock, err = fs.Lock(d.file(lockFile))
	if _, notOpened := errors.AsType[*os.PathError](err); notOpened {
		return nil, fmt.Errorf("lock the data directory: %w: choose another with --data-dir", err)
	}
	if err != nil {
		return nil, fmt.Errorf("the data directory %s is in use by another process (%s): stop that one, or choose another with --data-dir", path, d.owner())
	}
	return d, nil
}

// openDataDir creates, locks and checks a data directory.
func openDataDir(fs vfs.FS, path, kind string) (*dataDir, error) {
	d, err := lockDataDir(fs, path)
	if err != nil {
		return nil, err
	}
	if err := d.check(kind); err != nil {
		return nil, errors.Join(err, d.close())
	}
	pid := []byte(strconv.Itoa(os.Getpid()) + "\n")
	if err := d.write(pidFile, pid); errors.Is(err, syscall.ENOSPC) {
		// A full disk must not keep a node from answering reads: this is what
		// the ballast is for. The file only names the process in an error.
		_ = fs.Remove(d.file(ballastFile))
		_ = d.write(pidFile, pid)
	} else if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *dataDir) file(name string) string { return d.fs.PathJoin(d.path, name) }
func (d *dataDir) logDir() string          { return d.file("log") }

// owner names the process that holds the lock, as far as it is known.
func (d *dataDir) owner() string {
	data, err := d.read(pidFile)
	if err != nil {
		return "of unknown process ID"
	}
	return "process " + strings.TrimSpace(string(data))
}

// check reads the identity and refuses a directory that does not hold what it
// says, or holds what nobody says.
func (d *dataDir) check(kind string) error {
	if err := d.checkWhole(); err != nil {
		return err
	}
	hasLog, err := d.holds(d.logDir(), ".wal")
	if err != nil {
		return err
	}
	data, err := d.read(identityFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		// A first start that was cut short leaves an empty log and no NODE, so
		// whether NODE was lost is known only when the log has been read.
		d.fresh = true
		d.identity = identity{Format: dataFormat, NodeID: uuid.NewString(), Store: kind, Created: time.Now().UTC(), ID: 1}
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", d.file(identityFile), err)
	}
	if err := json.Unmarshal(data, &d.identity); err != nil {
		return store.Corruptf(d.file(identityFile), "it cannot be read: %s", err)
	}
	d.identity.Groups = max(d.identity.Groups, 1)
	switch {
	case d.identity.Format != dataFormat:
		return fmt.Errorf("the data directory %s has format %d, which this version does not know: use the version that wrote it", d.path, d.identity.Format)
	case d.identity.Store != kind:
		return fmt.Errorf("the data directory %s holds a %s store, not %s: start with --store %s, or choose another --data-dir", d.path, d.identity.Store, kind, d.identity.Store)
	case !hasLog:
		return store.Corruptf(d.logDir(), "the log is missing: there is no segment, but this node has been in use since %s",
			d.identity.Created.Format(time.RFC3339))
	}
	return nil
}

// claim writes the identity at the end of a first start.
func (d *dataDir) claim() error {
	if !d.fresh {
		return nil
	}
	d.fresh = false
	if err := d.writeIdentity(); err != nil {
		return err
	}
	return ignoreMissing(d.fs.Remove(d.file(formingFile)))
}

func (d *dataDir) writeIdentity() error {
	data, err := json.MarshalIndent(d.identity, "", "  ")
	if err != nil {
		return err
	}
	return d.write(identityFile, append(data, '\n'))
}

// forming makes the node's ID durable before another node hears of it: from then on this
// disk has promised to be itself.
func (d *dataDir) forming() error {
	id, err := d.read(formingFile)
	if errors.Is(err, os.ErrNotExist) {
		return d.write(formingFile, []byte(d.identity.NodeID+"\n"))
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", d.file(formingFile), err)
	}
	d.identity.NodeID = strings.TrimSpace(string(id))
	return nil
}

// holds reports whether a directory has a file with this ending.
func (d *dataDir) holds(dir, ending string) (bool, error) {
	names, err := d.fs.List(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("list %s: %w", dir, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ending) {
			return true, nil
		}
	}
	return false, nil
}

func (d *dataDir) read(name string) ([]byte, error) {
	f, err := d.fs.Open(d.file(name))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(f)
}

// write replaces a small file atomically and durably.
func (d *dataDir) write(name string, data []byte) error {
	temp := d.file(name + ".tmp")
	f, err := d.fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write %s: %w", d.file(name), err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = d.fs.Rename(temp, d.file(name))
	} else {
		err = errors.Join(err, d.fs.Remove(temp))
	}
	if err == nil {
		err = syncDir(d.fs, d.fs.PathDir(d.file(name)))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", d.file(name), err)
	}
	return nil
}

// makeDir creates a directory with all above it that are missing, so that each
// name survives a power cut.
func makeDir(fs vfs.FS, path string) error {
	parent := fs.PathDir(path)
	if _, err := fs.Stat(path); err == nil || parent == path {
		return err
	}
	if err := makeDir(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

// syncDir makes the names in a directory durable.
func syncDir(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d *dataDir) close() error {
	if d.lock == nil {
		return nil
	}
	err := errors.Join(ignoreMissing(d.fs.Remove(d.file(pidFile))), d.lock.Close())
	d.lock = nil
	return err
}

// withdraw is close for who leaves the directory as it was: without the lock file, and without itself,
// if they were not there before.
func (d *dataDir) withdraw() error {
	var err error
	if d.madeLock {
		err = ignoreMissing(d.fs.Remove(d.file(lockFile))) // while it is held
	}
	if err == nil && d.madeDir {
		err = d.fs.Remove(d.path)
	}
	return errors.Join(err, d.close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
