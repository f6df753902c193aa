// Command singles measures what many goroutines get that each write or read one key at a time,
// with this tree's client and server and with go-redis and a Redis that syncs every write. The
// contestants take turns in every round, so that a machine that is busy for a while is busy for
// all. It says nothing of batches: see peers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/client"
)

func main() {
	callers := flag.String("callers", "1,64", "numbers of goroutines")
	rounds := flag.Int("rounds", 7, "rounds, of which the medians are told")
	turn := flag.Duration("turn", time.Second, "how long a turn is timed, after a quarter of it that is not")
	keys := flag.Int("keys", 100_000, "keys that are written and read")
	dir := flag.String("dir", "", "where the servers have their data (a temporary directory)")
	only := flag.String("only", "", "names of contestants, with commas between")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *callers, *rounds, *turn, *keys, *dir, *only); err != nil {
		fmt.Fprintln(os.Stderr, "singles:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, callers string, rounds int, turn time.Duration, keys int, parent, only string) error {
	dir, err := os.MkdirTemp(parent, "singles-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is a temporary one
	all, end, err := contestants(ctx, dir, keys)
	defer end()
	if err != nil {
		return err
	}
	if only != "" {
		all = slices.DeleteFunc(all, func(c contestant) bool { return !slices.Contains(strings.Split(only, ","), c.name) })
	}
	for _, text := range strings.Split(callers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("callers %q: a number of at least 1", text)
		}
		found := make([][]sample, len(all))
		for range rounds {
			for i, c := range all {
				s, err := measure(ctx, n, turn, keys, c.do)
				if err != nil {
					return fmt.Errorf("%s with %d callers: %w", c.name, n, err)
				}
				found[i] = append(found[i], s)
			}
		}
		table(n, all, found)
	}
	return nil
}

// contestant is one way to write or read a single key.
type contestant struct {
	name string
	do   func(ctx context.Context, key string) error
}

const valueBytes = 128

// contestants starts the servers and fills them. end ends them.
func contestants(ctx context.Context, dir string, keys int) (all []contestant, end func(), err error) {
	var ends []func()
	end = func() {
		for _, one := range slices.Backward(ends) {
			one()
		}
	}
	server, err := contest.BuildServer(ctx, dir)
	if err != nil {
		return nil, end, err
	}
	process, err := contest.StartProcess(ctx, exec.Command(server, "serve", "--data-dir", dir+"/data", "--store", "memory",
		"--logging-level", "warn", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"))
	if err != nil {
		return nil, end, err
	}
	ends = append(ends, process.Kill)
	line, err := process.FirstLine(30 * time.Second)
	if err != nil {
		return nil, end, err
	}
	fmt.Fprint(os.Stderr, line)
	words := strings.Fields(line)
	at := slices.Index(words, "grpc") + 1
	if at == 0 || at == len(words) {
		return nil, end, fmt.Errorf("the server did not say where it is: %q", line)
	}
	c, err := client.New(words[at])
	if err != nil {
		return nil, end, err
	}
	ends = append(ends, func() { _ = c.Close() })

	port, err := contest.FreePort()
	if err != nil {
		return nil, end, err
	}
	if err := os.Mkdir(dir+"/redis", 0o700); err != nil {
		return nil, end, err
	}
	other, err := contest.StartProcess(ctx, exec.Command("redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port),
		"--dir", dir+"/redis", "--save", "", "--loglevel", "warning", "--appendonly", "yes", "--appendfsync", "always"))
	if err != nil {
		return nil, end, err
	}
	ends = append(ends, other.Kill)
	conn, err := other.Dial(fmt.Sprintf("127.0.0.1:%d", port)) // when it listens
	if err != nil {
		return nil, end, err
	}
	_ = conn.Close()
	usual := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port)})
	wide := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), PoolSize: 64})
	ends = append(ends, func() { _, _ = usual.Close(), wide.Close() })

	value := []byte(strings.Repeat("v", valueBytes))
	var entries []sheaf.Entry
	pipe := usual.Pipeline()
	for i := range keys {
		entries = append(entries, sheaf.Entry{Key: []byte(keyOf(i)), Value: value})
		pipe.Set(ctx, keyOf(i), value, 0)
	}
	for some := range slices.Chunk(entries, 10_000) {
		if _, err := c.PutAll(ctx, some); err != nil {
			return nil, end, err
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, end, err
	}
	return []contestant{
		{"sheaf Put", func(ctx context.Context, key string) error {
			_, err := c.Put(ctx, []byte(key), value)
			return err
		}},
		{"sheaf PutAll of 1", func(ctx context.Context, key string) error {
			_, err := c.PutAll(ctx, []sheaf.Entry{{Key: []byte(key), Value: value}})
			return err
		}},
		{"redis Set", func(ctx context.Context, key string) error { return usual.Set(ctx, key, value, 0).Err() }},
		{"redis Set, 64 conns", func(ctx context.Context, key string) error { return wide.Set(ctx, key, value, 0).Err() }},
		{"sheaf Get", func(ctx context.Context, key string) error {
			item, err := c.Get(ctx, []byte(key))
			if err == nil && len(item.Value) != valueBytes {
				err = errors.New("another value")
			}
			return err
		}},
		{"redis Get", func(ctx context.Context, key string) error { return usual.Get(ctx, key).Err() }},
		{"redis Get, 64 conns", func(ctx context.Context, key string) error { return wide.Get(ctx, key).Err() }},
	}, end, nil
}

func keyOf(i int) string { return fmt.Sprintf("key-%028d", i) }

func table(callers int, all []contestant, found [][]sample) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d callers\tcalls/s\tp50 µs\tp99 µs\t\n", callers)
	for i, c := range all {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t\n", c.name,
			median(found[i], func(s sample) float64 { return s.perSecond }),
			median(found[i], func(s sample) float64 { return s.p50US }),
			median(found[i], func(s sample) float64 { return s.p99US }))
	}
	_ = w.Flush()
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
