package crashtest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// TestABatchLargerThanTheLogDoesNotEndWriting: a batch within limits.batch_bytes
// may be larger than log.max_bytes, and so may the batches of one fsync together.
// The log is then over its bound until it is cut, and no longer.
func TestABatchLargerThanTheLogDoesNotEndWriting(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		fs, cfg := vfs.NewMem(), settings(inMemory, store)
		n := startNode(t, fs, cfg)
		mustPut(t, n, "large", int(cfg.Log.MaxBytes)+mib)
		mustPut(t, n, "small", 100)
		n.mustStop(t)
		n = startNode(t, fs, cfg)
		mustPut(t, n, "later", 100)
		n.mustStop(t)
	})
}

// TestALowerLogBoundDoesNotEndWriting: a setting that an operator may change
// between two starts never makes a sound directory useless.
func TestALowerLogBoundDoesNotEndWriting(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		fs, cfg := vfs.NewMem(), settings(inMemory, store)
		cfg.Log.MaxBytes = 64 * mib
		n := startNode(t, fs, cfg)
		for range 5 {
			mustPut(t, n, "before", mib)
		}
		n.mustStop(t)
		cfg.Log.MaxBytes = 2 * mib
		mustPut(t, startNode(t, fs, cfg), "after", 100)
	})
}

// TestAFullLogIsWaitedForAndNotRefused: writers who fill the log faster than the
// store can be flushed wait for the flush. RATE_LIMITED is for a log that cannot
// be cut, and there is none here.
func TestAFullLogIsWaitedForAndNotRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		n := startNode(t, vfs.NewMem(), settings(inMemory, store))
		errs := make(chan error, eight.writers)
		for range eight.writers {
			c := connect(t, n.addr())
			go func() {
				for range 100 {
					value := bytes.Repeat([]byte{'.'}, 60<<10)
					if _, err := c.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("key", value)}, client.WithoutRetry()); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		for range eight.writers {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

func mustPut(t *testing.T, n *inner, key string, valueBytes int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := connect(t, n.addr()).PutAll(ctx, []sheaf.Entry{sheaf.Put(key, bytes.Repeat([]byte{'.'}, valueBytes))})
	if err != nil {
		t.Fatal(errors.Join(errors.New("write "+key), err))
	}
}
