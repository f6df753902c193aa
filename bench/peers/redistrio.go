package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"

	"github.com/sheafdb/sheaf/bench/contest"
)

// startRedisTrio starts a Redis that syncs its log before it answers, and two replicas of it
// that keep what they get in memory only. Whoever waits for both replicas knows that the
// batch is on one disk and in the memory of three servers: less than what a majority with
// the batch on disk is.
func startRedisTrio(ctx context.Context, _ *contest.Arena, dir string) (contest.Contestant, error) {
	ports := make([]int, contest.Replicas)
	for i := range ports {
		var err error
		if ports[i], err = contest.FreePort(); err != nil {
			return nil, err
		}
		if err := os.Mkdir(contest.ServerDir(dir, i), 0o700); err != nil {
			return nil, err
		}
	}
	trio, err := contest.StartTrio(ctx, func(i int) *exec.Cmd {
		options := []string{"--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"}
		if i > 0 {
			options = []string{"--appendonly", "no", "--replicaof", "127.0.0.1 " + strconv.Itoa(ports[0])}
		}
		return redisCommand(ports[i], contest.ServerDir(dir, i), options...)
	})
	if err != nil {
		return nil, err
	}
	r, err := connectRedis(trio, ports[0], contest.Replicas-1)
	if err != nil {
		return nil, err
	}
	// The first answer comes when both replicas have found the primary and its state.
	if err := r.use(r.waitForReplicas); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *redis) waitForReplicas(c *line) error {
	if _, err := c.conn.Write(appendWait(c.out[:0], r.replicas)); err != nil {
		return err
	}
	return c.expect(":" + strconv.Itoa(r.replicas) + "\r\n")
}

// appendWait appends the command that is answered when this many replicas have what the
// connection wrote before, however long that takes.
func appendWait(out []byte, replicas int) []byte {
	out = append(out, "*3\r\n$4\r\nWAIT\r\n"...)
	return appendBulk(appendBulk(out, strconv.AppendInt(nil, int64(replicas), 10)), []byte("0"))
}
