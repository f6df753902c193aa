// Command stream measures what one caller gains by PutStream over PutAll.
//
//	go -C bench run ./stream
//
// One `sheaf serve` process, one caller in this one, batches of the same size drawn from the same
// keys: with PutAll the caller waits for each batch before it sends the next, with PutStream it
// has many on their way. `sheaf import` of a CSV file with as many rows as there are keys, a process
// of its own, is the third way. They take turns, round by round; the numbers are medians over the
// rounds, and a ratio is the median of the rounds' ratios.
//
// The package builds the server from the tree around it and runs on Linux, inside the bench
// module. Client and server share the machine. It decides nothing: it prints a table.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
	"github.com/sheafdb/sheaf/client"
)

// plan is what to measure and for how long.
type plan struct {
	store   string
	entries int
	rounds  int
	timed   time.Duration
	dir     string
}

// warmUp is run before each timed part and counts for nothing.
const warmUp = 300 * time.Millisecond

// keySpace is how many keys there are, all of which are written before anything is timed.
const keySpace = 1_000_000

func main() {
	var p plan
	flag.StringVar(&p.store, "store", "memory", "store of the server")
	flag.IntVar(&p.entries, "entries", 1_000, "entries of a batch")
	flag.IntVar(&p.rounds, "rounds", 7, "rounds of each way")
	flag.DurationVar(&p.timed, "time", 2*time.Second, "length of the timed part of a round")
	flag.StringVar(&p.dir, "dir", ".", "directory, on the disk to measure, in which a temporary one is made and removed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, p); err != nil {
		fmt.Fprintln(os.Stderr, "stream:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, p plan) (err error) {
	machine, err := measure.ReadMachine(p.dir)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(p.dir, "stream-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, err := contest.BuildServer(ctx, dir)
	if err != nil {
		return err
	}
	served, err := contest.ServeSheaf(ctx, &contest.Arena{Server: program}, filepath.Join(dir, "data"), p.store, sheaf.Linearizable, 30*time.Second)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.Close()) }()
	c, err := client.New(served.Addr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	load := newLoad(p.entries)
	if err := load.fill(ctx, c, p.entries); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	fmt.Printf("%s\n\n", machine)
	rates, server, own := make(map[string][]float64), make(map[string][]float64), make(map[string][]float64)
	ratios := make(map[string][]float64)
	file := csvFile{program: program, addr: served.Addr(), path: filepath.Join(dir, "rows.csv"), entries: p.entries}
	if err := file.write(); err != nil {
		return err
	}
	ways := []way{{"PutAll", load.putAll}, {"PutStream", load.putStream}, {"sheaf import", file.load}}
	for n := range p.rounds {
		if n%2 == 1 {
			slices.Reverse(ways) // neither is always the first
		}
		last := make(map[string]float64)
		for _, w := range ways {
			before, err := readSpent(served.PIDs())
			if err != nil {
				return err
			}
			rate, keys, err := w.run(ctx, c, p.timed)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			after, err := readSpent(served.PIDs())
			if err != nil {
				return err
			}
			server[w.name] = append(server[w.name], float64((after.server-before.server).Nanoseconds())/float64(keys))
			own[w.name] = append(own[w.name], float64((after.own-before.own).Nanoseconds())/float64(keys))
			last[w.name] = rate
			rates[w.name] = append(rates[w.name], rate)
			fmt.Fprintf(os.Stderr, "round %d of %d, %s: %s keys/s\n", n+1, p.rounds, w.name, measure.Thousands(rate))
		}
		if n%2 == 1 {
			slices.Reverse(ways)
		}
		for _, name := range []string{"PutAll", "sheaf import"} {
			ratios[name] = append(ratios[name], last["PutStream"]/last[name])
		}
	}
	fmt.Printf("%s store, one caller, %s entries a batch, median of %d rounds\n\n| way | keys/s | client ns/key | server ns/key |\n|---|---|---|---|\n", p.store, measure.Thousands(float64(p.entries)), p.rounds)
	for _, w := range ways {
		fmt.Printf("| %s | %s | %.0f | %.0f |\n", w.name, measure.Thousands(measure.Median(rates[w.name])), measure.Median(own[w.name]), measure.Median(server[w.name]))
	}
	for _, name := range []string{"PutAll", "sheaf import"} {
		fmt.Printf("\nPutStream / %s: %.2f (%.2f to %.2f)\n", name, measure.Median(ratios[name]), slices.Min(ratios[name]), slices.Max(ratios[name]))
	}
	return nil
}

// way is one of the three.
type way struct {
	name string
	// run takes one turn. keys is how many were written, in the warm-up too.
	run func(ctx context.Context, c *client.Client, timed time.Duration) (keysPerSecond float64, keys int, err error)
}

// spent is CPU time: the server's, and that of this process and those it has waited for.
type spent struct{ server, own time.Duration }

func readSpent(servers []int) (s spent, err error) {
	cost, err := contest.CostOf(servers...)
	if err != nil {
		return s, err
	}
	s.server = cost.CPU
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			return s, err
		}
		s.own += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return s, nil
}

// load has batches that were drawn before anything is timed.
type load struct{ batches [][]sheaf.Entry }

// drawn is how many.
const drawn = 256

func newLoad(entries int) *load {
	keys := contest.NewWorkload(keySpace)
	rng := rand.New(rand.NewPCG(1, 2))
	l := &load{batches: make([][]sheaf.Entry, drawn)}
	for i := range l.batches {
		l.batches[i] = make([]sheaf.Entry, entries)
		keys.Neighbours(l.batches[i], rng)
	}
	return l
}

func (l *load) fill(ctx context.Context, c *client.Client, entries int) error {
	keys := contest.NewWorkload(keySpace)
	rng := rand.New(rand.NewPCG(3, 4))
	batch := make([]sheaf.Entry, entries)
	for first := 0; first < keySpace; first += entries {
		keys.From(first, batch, rng)
		if _, err := c.PutAll(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// rate counts batches that are answered in the timed part.
func (l *load) rate(timed time.Duration, batches int) float64 {
	return float64(batches*len(l.batches[0])) / timed.Seconds()
}

func (l *load) putAll(ctx context.Context, c *client.Client, timed time.Duration) (float64, int, error) {
	begin := time.Now().Add(warmUp)
	end, count := begin.Add(timed), 0
	for i := 0; ; i++ {
		if _, err := c.PutAll(ctx, l.batches[i%drawn]); err != nil {
			return 0, 0, err
		}
		switch now := time.Now(); {
		case now.After(end):
			return l.rate(timed, count), (i + 1) * len(l.batches[0]), nil
		case now.After(begin):
			count++
		}
	}
}

func (l *load) putStream(ctx context.Context, c *client.Client, timed time.Duration) (float64, int, error) {
	s, err := c.PutStream(ctx)
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now().Add(warmUp)
	end, count := begin.Add(timed), 0
	answered, failed := make(chan *client.Pending, 1<<16), make(chan error, 1)
	go func() {
		var first error
		for p := range answered {
			if _, err := p.Wait(ctx); err != nil && first == nil {
				first = err
			}
			if now := time.Now(); now.After(begin) && now.Before(end) {
				count++
			}
		}
		failed <- first
	}()
	i := 0
	for ; time.Now().Before(end); i++ {
		p, err := s.Put(ctx, l.batches[i%drawn])
		if err != nil {
			return 0, 0, errors.Join(err, s.Close())
		}
		answered <- p
	}
	close(answered)
	err = errors.Join(<-failed, s.Close())
	return l.rate(timed, count), i * len(l.batches[0]), err
}

// csvFile is what `sheaf import` loads.
type csvFile struct {
	program, addr, path string
	entries             int
}

// write makes the rows of the same keys, with values of the same size.
func (f *csvFile) write() (err error) {
	file, err := os.Create(f.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriter(file)
	keys := contest.NewWorkload(keySpace)
	var row []byte
	fmt.Fprintln(out, "key,value") // a failed write is told by Flush
	for i := range keySpace {
		row = append(keys.AppendKey(row[:0], i), ',')
		for range contest.ValueBytes / contest.KeyBytes {
			row = keys.AppendKey(row, i)
		}
		_, _ = out.Write(append(row, '\n'))
	}
	return out.Flush()
}

// load runs until the whole file is written, however long a turn is.
func (f *csvFile) load(ctx context.Context, _ *client.Client, _ time.Duration) (float64, int, error) {
	begin := time.Now()
	command := exec.CommandContext(ctx, f.program, "import", "--csv", f.path, "--value-column", "value",
		"--batch-entries", strconv.Itoa(f.entries), "--addr", f.addr)
	if out, err := command.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, out)
	}
	return keySpace / time.Since(begin).Seconds(), keySpace, nil
}
