package contest

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// What counts as quiet of a process, and how long to wait for it.
const (
	quietWindow   = 300 * time.Millisecond
	quietCPU      = 3 * tick
	quietBytes    = 256 << 10
	settleTimeout = 15 * time.Second
)

// Settle waits until the flushes and compactions that a round left behind are
// done, so that the next contestant does not pay for them, and returns how long
// they took, to the length of a window in which nothing happens (0.3 s). One
// that does not come to rest is left at work after timeout, 15 s when that is 0.
func Settle(ctx context.Context, pids []int, timeout time.Duration) (time.Duration, error) {
	if timeout == 0 {
		timeout = settleTimeout
	}
	ticker := time.NewTicker(quietWindow)
	defer ticker.Stop()
	var took time.Duration
	mostCPU, mostBytes := time.Duration(len(pids))*quietCPU, int64(len(pids))*quietBytes
	last, err := CostOf(pids...)
	for took < timeout && err == nil {
		select {
		case <-ctx.Done():
			return took, ctx.Err()
		case <-ticker.C:
		}
		var current Cost
		if current, err = CostOf(pids...); err != nil {
			break
		}
		if current.Children == 0 && current.CPU-last.CPU <= mostCPU && current.WrittenBytes-last.WrittenBytes <= mostBytes {
			return took, nil
		}
		last = current
		took += quietWindow
	}
	return took, err
}

// Sync writes out what the kernel holds for the file system of dir: what a
// contestant left to the kernel is on its bill, and not in the next one's way.
func Sync(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := unix.Syncfs(int(file.Fd())); err != nil {
		return fmt.Errorf("sync the file system of %s: %w", dir, err)
	}
	return nil
}
