package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"os/user"
	"strconv"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

const memcachedProgram = "memcached"

// memcachedMiB is room for every key of any contest: memcached would forget some
// where the others must keep all.
const memcachedMiB = 4096

// memcached is a memcached server; a batch is 1,000 meta sets sent at once, which
// are not atomic.
type memcached struct {
	*contest.Process
	lines
}

func startMemcached(ctx context.Context, _ *contest.Arena, _ string) (contest.Contestant, error) {
	port, err := contest.FreePort()
	if err != nil {
		return nil, err
	}
	me, err := user.Current() // it refuses to be root unless told to
	if err != nil {
		return nil, err
	}
	process, err := contest.StartProcess(ctx, exec.Command(memcachedProgram, "-l", "127.0.0.1", "-p", strconv.Itoa(port),
		"-U", "0", "-m", strconv.Itoa(memcachedMiB), "-u", me.Username))
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	m := &memcached{Process: process, lines: lines{alive: process.Alive(), dial: func() (net.Conn, error) { return process.Dial(addr) }}}
	if err := m.use(func(*line) error { return nil }); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Write sends the sets as quiet ones, which are answered only when they fail, and
// a no-op, whose answer says that all before it are done.
func (m *memcached) Write(entries []sheaf.Entry) (int, error) {
	return 0, m.use(func(c *line) error {
		c.out = appendSets(c.out[:0], entries)
		if _, err := c.conn.Write(c.out); err != nil {
			return err
		}
		answer, err := c.in.ReadSlice('\n')
		if err == nil && string(answer) != "MN\r\n" {
			err = fmt.Errorf("memcached answered %q", answer)
		}
		return err
	})
}

// appendSets appends the meta commands of memcached's doc/protocol.txt.
func appendSets(out []byte, entries []sheaf.Entry) []byte {
	for i := range entries {
		out = append(append(append(out, "ms "...), entries[i].Key...), ' ')
		out = strconv.AppendInt(out, int64(len(entries[i].Value)), 10)
		out = append(append(append(out, " q\r\n"...), entries[i].Value...), "\r\n"...)
	}
	return append(out, "mn\r\n"...)
}

// Close kills the server.
func (m *memcached) Close() error {
	m.close()
	m.Kill()
	return nil
}
