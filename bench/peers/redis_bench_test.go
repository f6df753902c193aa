package main

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// BenchmarkRedisClient is why the contest's Redis client is written by hand: it
// shows what a common library costs beside it.
func BenchmarkRedisClient(b *testing.B) {
	if _, err := exec.LookPath(redisProgram); err != nil {
		b.Skip(redisProgram + " is not installed")
	}
	server, err := serveRedis(b.Context(), b.TempDir(), "--appendonly", "no")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Close() }() // it was killed
	library := goredis.NewClient(&goredis.Options{Addr: server.addr})
	defer func() { _ = library.Close() }()
	load := contest.NewWorkload(contest.KeySpace)
	for _, c := range []struct {
		name  string
		write func(entries []sheaf.Entry) error
	}{
		{"hand", func(entries []sheaf.Entry) error {
			_, err := server.Write(entries)
			return err
		}},
		{"go-redis", func(entries []sheaf.Entry) error {
			pairs := make([]any, 0, 2*len(entries))
			for i := range entries {
				pairs = append(pairs, entries[i].Key, entries[i].Value)
			}
			return library.MSet(context.Background(), pairs...).Err()
		}},
	} {
		b.Run("client="+c.name, func(b *testing.B) {
			entries := make([]sheaf.Entry, contest.BatchEntries)
			rng := rand.New(rand.NewPCG(1, 1))
			before, err := costOfSelf()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				load.Uniform(entries, rng)
				if err := c.write(entries); err != nil {
					b.Fatal(err)
				}
			}
			after, err := costOfSelf()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric((after-before).Seconds()*1e9/float64(b.N)/contest.BatchEntries, "client-ns/key")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/contest.BatchEntries, "ns/key")
		})
	}
}

// costOfSelf is this process's CPU time.
func costOfSelf() (time.Duration, error) {
	c, err := contest.CostOf(os.Getpid())
	return c.CPU, err
}
