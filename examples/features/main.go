// Command features is a feature store for models: a pipeline injects what it has computed of users,
// and model servers read it for each request, never older than the event that they answer to.
//
// The work is in features.go, which is what to take from here. This program plays the pipeline and the
// model servers, and sees that no server is ever shown features that are too old.
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
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/sheafdb/sheaf/client"
)

const usage = `Inject features of users in rounds, while model servers read them.

Example:
  features --addr node-1:7450,node-2:7450,node-3:7450 --users 1000 --rounds 20

Flags:
`

type options struct{ users, rounds, servers int }

func main() {
	var o options
	addr := flag.String("addr", "localhost:7450", "`host:port` of a node, or of several of one cluster with commas between")
	timeout := flag.Duration("timeout", client.DefaultTimeout, "how long a call may take, with its retries")
	flag.IntVar(&o.users, "users", 1000, "users whose features are computed")
	flag.IntVar(&o.rounds, "rounds", 20, "how often they are computed")
	flag.IntVar(&o.servers, "servers", 4, "model servers, each of which answers one request after the other")
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
		fmt.Fprintln(os.Stderr, "features:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be undone
	}
}

// request is an event that a model is to answer to. It carries the version at which the features that
// belong to it were injected, as a message of a queue would.
type request struct {
	round   int
	version uint64
}

// play runs the pipeline and the servers until all rounds are over, or ctx ends.
func play(ctx context.Context, c *client.Client, o options, out io.Writer) error {
	if o.users < 1 || o.servers < 1 {
		return errors.New("there must be one user and one server at least")
	}
	store := Store{Client: c}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	requests := make(chan request)
	var answered atomic.Int64
	var servers sync.WaitGroup
	for range o.servers {
		servers.Go(func() {
			for r := range requests {
				if err := serve(ctx, store, o, r); err != nil {
					stop(err)
					return
				}
				answered.Add(1)
			}
		})
	}
	done, err := pipeline(ctx, store, o, requests)
	close(requests)
	servers.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.Canceled): // interrupted
	case cause != nil:
		return cause
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(out, "%d rounds of %d users injected, %d requests answered, none from features that were too old\n",
		done, o.users, answered.Load())
	return err
}

// pipeline computes all users' features in each round, and asks for an answer from every server.
func pipeline(ctx context.Context, store Store, o options, requests chan<- request) (rounds int, err error) {
	for round := 1; round <= o.rounds; round++ {
		features := make(map[string]Features, o.users)
		for i := range o.users {
			features[strconv.Itoa(i)] = Features{Round: round, Clicks: rand.IntN(100), Score: rand.Float64()}
		}
		version, err := store.Inject(ctx, features)
		if err != nil {
			return rounds, err
		}
		rounds = round
		for range o.servers {
			select {
			case requests <- request{round: round, version: version}:
			case <-ctx.Done():
				return rounds, nil
			}
		}
	}
	return rounds, nil
}

// serve is one request of a model server: it reads some users' features, of which none may be of an
// earlier round than the request.
func serve(ctx context.Context, store Store, o options, r request) error {
	users := make([]string, min(20, o.users))
	for i, user := range rand.Perm(o.users)[:len(users)] {
		users[i] = strconv.Itoa(user)
	}
	features, err := store.Read(ctx, users, r.version)
	if err != nil {
		return err
	}
	for user, f := range features {
		if f.Round < r.round {
			return fmt.Errorf("user %s: features of round %d for a request of round %d", user, f.Round, r.round)
		}
	}
	return nil
}
