// Command watch measures what following all changes costs: those who follow, and those who write.
//
//	go -C bench run ./watch
//
// One `sheaf serve --store memory` process, with writers of batches of 1,000 entries in this process,
// in turns: alone; with readers of everything, each on a connection of its own; and with a
// reader that has stopped reading. A turn's numbers are of its timed part, and the ratios are medians
// of those of each round. Writers and readers share the machine's cores with the server.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
	"github.com/sheafdb/sheaf/client"
)

var (
	rounds  = flag.Int("rounds", 5, "rounds of all turns")
	timed   = flag.Duration("timed", 3*time.Second, "timed part of a turn, behind half a second that counts for nothing")
	callers = flag.Int("callers", 4, "writers")
	readers = flag.Int("readers", 10, "readers of everything")
	store   = flag.String("store", "memory", "store of the server")
)

// A turn is one way of following.
type turn struct {
	name string
	// begin starts to follow and returns what ends it. read counts entries.
	begin func(ctx context.Context, addr string, read *atomic.Int64) (end func(), err error)
}

var turns = []turn{
	{"nobody", func(context.Context, string, *atomic.Int64) (func(), error) { return func() {}, nil }},
	{"readers", follow},
	{"stopped", stopped},
}

// sample is what came of a turn.
type sample struct{ written, read, p50, p95 float64 }

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sheaf-watch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	arena := &contest.Arena{Dir: dir, Load: contest.NewWorkload(contest.KeySpace)}
	if arena.Server, err = contest.BuildServer(ctx, dir); err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	server, err := contest.ServeSheaf(ctx, arena, data, *store, sheaf.Linearizable, time.Minute)
	if err != nil {
		return err
	}
	defer server.Close()
	if _, err := write(ctx, arena, server, time.Second, 99); err != nil { // the first batches meet an empty store
		return err
	}
	samples := make([][]sample, len(turns))
	for round := range *rounds {
		for i, t := range turns {
			s, err := t.run(ctx, arena, server, uint64(round*len(turns)+i))
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			samples[i] = append(samples[i], s)
			fmt.Fprintf(os.Stderr, "round %d of %d, %s: %s written, %s read, p95 %.2f ms\n", round+1, *rounds, t.name,
				measure.Thousands(s.written), measure.Thousands(s.read), s.p95)
		}
	}
	report(samples)
	return nil
}

// run is one turn.
func (t *turn) run(ctx context.Context, a *contest.Arena, server *contest.Served, seed uint64) (sample, error) {
	var read atomic.Int64
	end, err := t.begin(ctx, server.Addr(), &read)
	if err != nil {
		return sample{}, err
	}
	defer end()
	if _, err := write(ctx, a, server, time.Second/2, 2*seed); err != nil {
		return sample{}, err
	}
	before, began := read.Load(), time.Now()
	s, err := write(ctx, a, server, *timed, 2*seed+1)
	s.read = float64(read.Load()-before) / time.Since(began).Seconds()
	return s, err
}

// write has the callers write for a while.
func write(ctx context.Context, a *contest.Arena, server *contest.Served, during time.Duration, seed uint64) (sample, error) {
	began := time.Now()
	latencies := make([][]float64, *callers)
	errs := make([]error, *callers)
	var all sync.WaitGroup
	for i := range *callers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			entries := make([]sheaf.Entry, contest.BatchEntries)
			for time.Since(began) < during && ctx.Err() == nil && errs[i] == nil {
				a.Load.Neighbours(entries, rng)
				at := time.Now()
				_, errs[i] = server.Write(entries)
				latencies[i] = append(latencies[i], float64(time.Since(at).Microseconds())/1000)
			}
		})
	}
	all.Wait()
	took := time.Since(began).Seconds()
	every := slices.Concat(latencies...)
	slices.Sort(every)
	for _, err := range append(errs, ctx.Err()) {
		if err != nil {
			return sample{}, err
		}
	}
	return sample{
		written: float64(len(every)*contest.BatchEntries) / took,
		p50:     every[len(every)/2], p95: every[len(every)*95/100],
	}, nil
}

// follow has the readers read everything.
func follow(ctx context.Context, addr string, read *atomic.Int64) (func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	var all, began sync.WaitGroup
	for range *readers {
		c, err := client.New(addr)
		if err != nil {
			cancel()
			return nil, err
		}
		began.Add(1)
		all.Go(func() {
			defer c.Close()
			once := sync.OnceFunc(began.Done)
			for event, err := range c.Watch(ctx, client.WatchOptions{Progress: func(string) { once() }}) {
				if err != nil {
					if ctx.Err() == nil {
						fmt.Fprintln(os.Stderr, "watch:", err)
					}
					once()
					return
				}
				read.Add(int64(len(event.Changes)))
			}
		})
	}
	began.Wait()
	return func() { cancel(); all.Wait() }, nil
}

// stopped opens a watch and does not read it.
func stopped(ctx context.Context, addr string, _ *atomic.Int64) (func(), error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := sheafv1.NewKVServiceClient(conn).Watch(ctx, &sheafv1.WatchRequest{})
	if err == nil {
		_, err = stream.Recv() // it has begun
	}
	end := func() { cancel(); _ = conn.Close() }
	if err != nil {
		end()
		return nil, err
	}
	return end, nil
}

func report(samples [][]sample) {
	fmt.Printf("Batches of 1,000 entries (32-byte keys, 128-byte values), %d writers, %s store, medians of %d rounds.\n\n", *callers, *store, *rounds)
	fmt.Println("| who follows | entries/s written | ÷ nobody | entries/s read | p50 ms | p95 ms | p95 ÷ nobody |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|")
	for i, t := range turns {
		name := t.name
		if name == "readers" {
			name = fmt.Sprintf("%d readers of everything", *readers)
		}
		if name == "stopped" {
			name = "a reader that has stopped"
		}
		of := func(value func(sample) float64) float64 {
			var all []float64
			for _, s := range samples[i] {
				all = append(all, value(s))
			}
			return measure.Median(all)
		}
		against := func(value func(sample) float64) float64 {
			var all []float64
			for round, s := range samples[i] {
				all = append(all, value(s)/value(samples[0][round]))
			}
			return measure.Median(all)
		}
		written, p95 := func(s sample) float64 { return s.written }, func(s sample) float64 { return s.p95 }
		fmt.Printf("| %s | %s | %.2f | %s | %.2f | %.2f | %.2f |\n", name, measure.Thousands(of(written)), against(written),
			measure.Thousands(of(func(s sample) float64 { return s.read })), of(func(s sample) float64 { return s.p50 }), of(p95), against(p95))
	}
}
