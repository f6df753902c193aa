// Command putall walks through the flow of the article that Sheaf began with: putAll(batch,
// ConsistencyLevel.LINEARIZABLE) of versioned values, with a request ID and an ETag.
//
// putall.go has the article's names in Sheaf's terms, and README.md the two side by side.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

const usage = `Write a batch on condition that its keys are as they were read, repeat it, and meet a conflict.

Example:
  putall --addr localhost:7450 user:1=ada user:2=grace

Flags:
`

func main() {
	addr := flag.String("addr", "localhost:7450", "`host:port` of a node, or of several of one cluster with commas between")
	timeout := flag.Duration("timeout", client.DefaultTimeout, "how long a call may take, with its retries")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := client.New(*addr, client.WithTimeout(*timeout))
	if err == nil {
		defer c.Close() //nolint:errcheck // no call is under way
		err = walk(ctx, c, flag.Args(), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "putall:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be undone
	}
}

// walk is the article's flow, one step after the other.
func walk(ctx context.Context, c *client.Client, args []string, out io.Writer) error {
	batch := make(map[string]VersionedValue)
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return fmt.Errorf("%q is not KEY=VALUE", arg)
		}
		batch[key] = VersionedValue{Value: []byte(value)}
	}
	if len(batch) == 0 {
		return errors.New("name what to write, as in: putall user:1=ada user:2=grace")
	}
	store := Store{Client: c}

	read, etag, err := store.GetAll(ctx, keysOf(batch))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "read      %d of %d keys are there\n", len(read), len(batch))

	id := sheaf.RequestID(uuid.NewString()) // kept, so that a retry after a crash can repeat it
	first, err := store.PutAll(ctx, batch, Linearizable, client.WithRequestID(id), client.IfMatch(etag))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "written   on condition of the ETag that was read")

	again, err := store.PutAll(ctx, batch, Linearizable, client.WithRequestID(id), client.IfMatch(etag))
	if err != nil {
		return err
	}
	if !again.Replayed || again.ETag != first.ETag {
		return fmt.Errorf("the retry was answered with another ETag: %+v", again)
	}
	fmt.Fprintln(out, "repeated  with the same request ID: the same answer, nothing is applied twice")

	// Another writer's view: the ETag that both read is not current any more.
	_, err = store.PutAll(ctx, batch, Linearizable, client.IfMatch(etag))
	if err == nil {
		return errors.New("a write with the old ETag was taken")
	}
	if !errors.Is(err, sheaf.ETagMismatch) {
		return fmt.Errorf("a write with the old ETag should be refused: %w", err)
	}
	fmt.Fprintln(out, "refused   with the old ETag and a new request ID: ETAG_MISMATCH")

	// What to do then: read again, merge, and write with the new ETag and a new request ID.
	current, etag, err := store.GetAll(ctx, keysOf(batch))
	if err != nil {
		return err
	}
	for key, had := range current {
		batch[key] = VersionedValue{Value: append(had.Value, '!'), Version: had.Version}
	}
	merged, err := store.PutAll(ctx, batch, Linearizable, client.IfMatch(etag))
	if err != nil {
		return err
	}
	if merged.Version <= first.Version {
		return fmt.Errorf("version %d came after version %d", merged.Version, first.Version)
	}
	fmt.Fprintln(out, "merged    and written with the new ETag and a new request ID: a larger version")
	return nil
}
