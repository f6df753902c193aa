package wal

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrNoSpace is returned by Append when a further segment is needed and the
	// disk has no room for it. Nothing was written and the log stays usable:
	// cut, or free space, and append again.
	ErrNoSpace = errors.New("no space for a log segment")

	// ErrFailed is returned after a write or sync has failed, with its cause.
	// What is on the disk is unknown from then on (a second fsync may report
	// success for pages that the kernel has dropped), so nothing is retried:
	// end the process and open the log again.
	ErrFailed = errors.New("log has failed")

	// ErrClosed is returned by the methods of a log after Close.
	ErrClosed = errors.New("log is closed")

	// ErrInvalid is returned by Append for entries that break the log's rules:
	// an index of zero or with a gap before it, or too many bytes. Nothing was
	// written and the log stays usable.
	ErrInvalid = errors.New("invalid log entry")
)

// CorruptError says that the files of a log are damaged in a way that no crash
// explains. Open returns it without having changed anything.
type CorruptError struct {
	File   string // path of the file that is damaged or missing
	Offset int64  // byte in File where the damage was noticed
	Reason string // what is wrong there
}

// Error says where and what. What to do depends on whether there are other nodes, which a log does not
// know.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("log file %s is damaged at offset %d: %s", e.File, e.Offset, e.Reason)
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
