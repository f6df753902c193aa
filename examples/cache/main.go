// Command cache reads a value through a cache that many callers share, and shows that however many
// miss it at once, one of them asks the slow origin.
//
// The work is in cache.go, which is what to take from here. This program plays the callers and the
// origin.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf/client"
)

const usage = `Read a key through the cache with many callers at once, from an origin that is slow.

Example:
  cache --addr localhost:7450 --callers 50 --ttl 10s front-page

Flags:
`

func main() {
	addr := flag.String("addr", "localhost:7450", "`host:port` of a node, or of several of one cluster with commas between")
	timeout := flag.Duration("timeout", client.DefaultTimeout, "how long the reads may take, with the origin")
	ttl := flag.Duration("ttl", 10*time.Second, "how long a value is cached")
	callers := flag.Int("callers", 50, "callers at once")
	slowness := flag.Duration("origin", 300*time.Millisecond, "how long the origin takes")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "cache: name one key, as in: cache front-page")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	if err := play(ctx, *addr, flag.Arg(0), *ttl, *slowness, *callers, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cache:", err)
		os.Exit(1)
	}
}

func play(ctx context.Context, addr, key string, ttl, slowness time.Duration, callers int, out io.Writer) error {
	c, err := client.New(addr)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // no call is under way
	var asked atomic.Int64
	origin := func(ctx context.Context) ([]byte, error) {
		asked.Add(1)
		select {
		case <-time.After(slowness):
			return []byte("made at " + time.Now().Format(time.TimeOnly)), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	cache := Cache{Client: c, TTL: ttl, Lease: slowness + 30*time.Second}
	values, errs := make([]string, callers), make([]error, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			value, err := cache.Get(ctx, key, origin)
			values[i], errs[i] = string(value), err
		})
	}
	wait.Wait()
	for i, value := range values {
		if errs[i] != nil {
			return errs[i]
		}
		if value != values[0] {
			return fmt.Errorf("two callers were given %q and %q", values[0], value)
		}
	}
	_, err = fmt.Fprintf(out, "%d callers were given %q; the origin was asked %d times\n", callers, values[0], asked.Load())
	return err
}
