package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

// readError turns Pebble's errors about damaged blocks into the store's, with
// the file's path if Pebble knows it. It leaves others as they are.
func (s *Store) readError(err error) error {
	if err == nil || errors.Is(err, store.ErrCorrupt) || !pebble.IsCorruptionError(err) {
		return err
	}
	file := s.dir
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		file = info.Path
	}
	return store.Corruptf(file, "%v", err)
}

// unmarked are words of the errors about damage that Pebble gives no mark: a
// table of another size than the MANIFEST says, and an OPTIONS file that names
// another comparer, merger or log directory, of which this package has never had
// any. The suite damages every file, so it notices when a Pebble says it in other
// words.
var unmarked = []string{"object size mismatch", "comparer name from file", "merger name from file", "WALRecoveryDirs"}

// openError does the same for what pebble.Open returns, which also has plain
// errors for files that the MANIFEST names and the directory lacks.
func openError(dir string, err error) error {
	damaged := pebble.IsCorruptionError(err) ||
		errors.Is(err, pebble.ErrDBNotPristine) ||
		errors.Is(err, fs.ErrNotExist)
	for _, words := range unmarked {
		damaged = damaged || strings.Contains(err.Error(), words)
	}
	if damaged {
		err = store.Corruptf(dir, "%v", err)
	}
	return fmt.Errorf("open store: %w", err)
}
