//go:build !failpoints

package failpoint

import "github.com/cockroachdb/pebble/v2/vfs"

// Enabled says that the process can be broken from outside.
const Enabled = false

// Hit is a place where the process may end.
func Hit(string) {}

// FS returns a file system whose syncs may be slow, hang or fail.
func FS(fs vfs.FS) vfs.FS { return fs }
