// Command transfer moves money between accounts, many transfers at a time, while an auditor adds
// the accounts up: the sum stays what it was, at every moment.
//
// The work is in bank.go, which is what to take from here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

const usage = `Open accounts, move money between them at random, and see that none is lost or made.

Example:
  transfer --addr localhost:7450 --accounts 10 --transfers 1000 --callers 8

Flags:
`

type options struct{ accounts, transfers, callers int }

func main() {
	var o options
	addr := flag.String("addr", "localhost:7450", "`host:port` of a node, or of several of one cluster with commas between")
	timeout := flag.Duration("timeout", client.DefaultTimeout, "how long a call may take, with its retries")
	flag.IntVar(&o.accounts, "accounts", 10, "accounts, each opened with 1000")
	flag.IntVar(&o.transfers, "transfers", 1000, "transfers to make")
	flag.IntVar(&o.callers, "callers", 8, "transfers at a time")
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
		err = play(ctx, c, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "transfer:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be undone
	}
}

// play opens the accounts, and makes the transfers while it audits. When ctx ends it stops between
// two transfers, audits once more, and returns without an error.
func play(ctx context.Context, c *client.Client, o options, out io.Writer) error {
	if o.accounts < 2 || o.callers < 1 {
		return errors.New("there must be two accounts and one caller at least")
	}
	bank := Bank{Client: c}
	accounts := make([]string, o.accounts)
	for i := range accounts {
		accounts[i] = fmt.Sprintf("%03d", i)
	}
	if err := bank.Open(ctx, accounts, 1000); err != nil {
		return err
	}
	before, err := bank.Sum(ctx, accounts)
	if err != nil {
		return err
	}

	finish := context.WithoutCancel(ctx) // a transfer that has begun ends
	var next, made, refused, audits atomic.Int64
	work := func() error {
		for ctx.Err() == nil && next.Add(1) <= int64(o.transfers) {
			from := rand.IntN(len(accounts))
			to := (from + 1 + rand.IntN(len(accounts)-1)) % len(accounts)
			err := bank.Transfer(finish, NewTransferID(), accounts[from], accounts[to], rand.Int64N(200))
			switch {
			case err == nil:
				made.Add(1)
			case errors.Is(err, ErrNotEnough):
				refused.Add(1)
			default:
				return err
			}
		}
		return nil
	}
	errs := make([]error, o.callers)
	var callers sync.WaitGroup
	for i := range o.callers {
		callers.Go(func() { errs[i] = work() })
	}
	ended := make(chan struct{})
	go func() { callers.Wait(); close(ended) }()
	audit := func() error {
		sum, err := bank.Sum(finish, accounts)
		if errors.Is(err, sheaf.Contention) {
			return nil // the writers did not let it in this time
		}
		audits.Add(1)
		if err == nil && sum != before {
			err = fmt.Errorf("the sum is %d and was %d", sum, before)
		}
		return err
	}
	var auditErr error
	for running := true; running && auditErr == nil; {
		select {
		case <-ended:
			running = false
		default:
		}
		auditErr = audit()
	}
	callers.Wait()
	if err := errors.Join(append(errs, auditErr)...); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d transfers made, %d refused for want of money; the sum was %d in all of %d audits\n",
		made.Load(), refused.Load(), before, audits.Load())
	return err
}
