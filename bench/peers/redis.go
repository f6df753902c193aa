package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

const redisProgram = "redis-server"

// redis is a Redis server, with replicas or without; a batch is one MSET, which is
// atomic, and with replicas a WAIT for all of them in the same write.
type redis struct {
	contest.Servers
	lines
	addr     string
	replicas int
}

// startRedis returns what starts Redis with its defaults but for snapshots, which
// are off, and these options.
func startRedis(options ...string) contest.Start {
	return func(ctx context.Context, _ *contest.Arena, dir string) (contest.Contestant, error) {
		return serveRedis(ctx, dir, options...)
	}
}

func serveRedis(ctx context.Context, dir string, options ...string) (*redis, error) {
	port, err := contest.FreePort()
	if err != nil {
		return nil, err
	}
	process, err := contest.StartProcess(ctx, redisCommand(port, dir, options...))
	if err != nil {
		return nil, err
	}
	return connectRedis(process, port, 0)
}

func redisCommand(port int, dir string, options ...string) *exec.Cmd {
	return exec.Command(redisProgram, append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--loglevel", "warning",
	}, options...)...)
}

func connectRedis(servers contest.Servers, port, replicas int) (*redis, error) {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	r := &redis{Servers: servers, addr: addr, replicas: replicas, lines: lines{alive: servers.Alive(), dial: func() (net.Conn, error) { return servers.Dial(addr) }}}
	// It listens before it is ready for commands, and a first connection is one
	// thing less for the first round.
	if err := r.use(func(*line) error { return nil }); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Write sends one MSET, and with replicas a WAIT for all of them without a limit.
func (r *redis) Write(entries []sheaf.Entry) (int, error) {
	return 0, r.use(func(c *line) error {
		c.out = appendMSET(c.out[:0], entries)
		if r.replicas > 0 {
			c.out = appendWait(c.out, r.replicas)
		}
		if _, err := c.conn.Write(c.out); err != nil {
			return err
		}
		if err := c.expect("+OK\r\n"); err != nil || r.replicas == 0 {
			return err
		}
		return c.expect(fmt.Sprintf(":%d\r\n", r.replicas))
	})
}

// expect reads a line, which must be this one.
func (c *line) expect(want string) error {
	answer, err := c.in.ReadSlice('\n')
	if err == nil && string(answer) != want {
		err = fmt.Errorf("redis answered %q, not %q", answer, want)
	}
	return err
}

// appendMSET appends the command in RESP, the protocol of redis.io/docs/reference/protocol-spec.
func appendMSET(out []byte, entries []sheaf.Entry) []byte {
	out = append(out, '*')
	out = strconv.AppendInt(out, int64(1+2*len(entries)), 10)
	out = append(out, "\r\n$4\r\nMSET\r\n"...)
	for i := range entries {
		out = appendBulk(appendBulk(out, entries[i].Key), entries[i].Value)
	}
	return out
}

func appendBulk(out, text []byte) []byte {
	out = append(out, '$')
	out = strconv.AppendInt(out, int64(len(text)), 10)
	out = append(out, "\r\n"...)
	return append(append(out, text...), "\r\n"...)
}

// Get reads one key; nil is one that is not there. While Redis loads its log the answer is an error.
func (r *redis) Get(_ context.Context, key []byte) (value []byte, err error) {
	err = r.use(func(c *line) error {
		c.out = appendBulk(append(c.out[:0], "*2\r\n$3\r\nGET\r\n"...), key)
		if _, err := c.conn.Write(c.out); err != nil {
			return err
		}
		answer, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		length, err := strconv.Atoi(string(bytes.TrimSpace(bytes.TrimPrefix(answer, []byte("$")))))
		if err != nil {
			return fmt.Errorf("redis answered %q", answer)
		}
		if length < 0 {
			return nil
		}
		value = make([]byte, length+2)
		_, err = io.ReadFull(c.in, value)
		return err
	})
	return bytes.TrimSuffix(value, []byte("\r\n")), err
}

// Close kills the servers.
func (r *redis) Close() error {
	r.close()
	r.Kill()
	return nil
}
