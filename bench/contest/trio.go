package contest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"time"
)

// Replicas is how many servers a cluster of the contests has.
const Replicas = 3

// retryPause is how often something that is not there yet is asked for.
const retryPause = 5 * time.Millisecond

// Trio is a cluster of servers on this machine that this process started. They are
// one contestant: what they use is added up, and when one ends the contest is over.
type Trio struct {
	servers []*Process
	alive   context.Context
	end     context.CancelCauseFunc // of alive
}

// StartTrio starts the servers side by side, because those of a new cluster wait for
// each other.
func StartTrio(ctx context.Context, command func(i int) *exec.Cmd) (*Trio, error) {
	t := new(Trio)
	t.alive, t.end = context.WithCancelCause(ctx)
	for i := range Replicas {
		server, err := StartProcess(ctx, command(i))
		if err != nil {
			t.Kill()
			return nil, fmt.Errorf("start server %d: %w", i+1, err)
		}
		t.servers = append(t.servers, server)
		context.AfterFunc(server.Alive(), func() { t.end(fmt.Errorf("server %d: %w", i+1, context.Cause(server.Alive()))) })
	}
	return t, nil
}

// FirstLines waits until each server has printed a line, and returns them.
func (t *Trio) FirstLines(timeout time.Duration) ([]string, error) {
	deadline := time.Now().Add(timeout)
	var lines []string
	for i, server := range t.servers {
		line, err := server.FirstLine(time.Until(deadline))
		if err != nil {
			return nil, fmt.Errorf("server %d: %w", i+1, err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// Alive ends with the first of the servers, or with the context they were started in.
func (t *Trio) Alive() context.Context { return t.alive }

// PIDs are the servers' numbers, in order.
func (t *Trio) PIDs() []int {
	var pids []int
	for _, server := range t.servers {
		pids = append(pids, server.PIDs()...)
	}
	return pids
}

// Kill ends all of them at once and waits for their end.
func (t *Trio) Kill() {
	t.end(errors.New("the servers were ended"))
	for _, server := range t.servers {
		server.kill() // all before any is waited for, so that none complains of the others
	}
	for _, server := range t.servers {
		server.Kill()
	}
}

// Dial connects to one of the servers that does not say when it listens.
func (t *Trio) Dial(addr string) (net.Conn, error) { return dial(t.alive, addr) }

// ServerName is what server i of a cluster is called, in those that name theirs.
func ServerName(i int) string { return fmt.Sprintf("n%d", i+1) }

// ServerDir is the directory of server i of a cluster below that of the contestant.
func ServerDir(dir string, i int) string { return filepath.Join(dir, ServerName(i)) }

// FreeAddrs are addresses for the servers of a cluster to meet at.
func FreeAddrs() ([]string, error) {
	addrs := make([]string, Replicas)
	for i := range addrs {
		var err error
		if addrs[i], err = FreeAddr(); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}

// Retry tries until it succeeds, and returns the last error when the time is over or
// the context ends, and how often it tried again.
func Retry(ctx context.Context, timeout time.Duration, try func() error) (retries int, err error) {
	for deadline := time.Now().Add(timeout); ; retries++ {
		if err = try(); err == nil {
			return retries, nil
		}
		if !time.Now().Before(deadline) {
			return retries, err
		}
		select {
		case <-ctx.Done():
			return retries, context.Cause(ctx)
		case <-time.After(retryPause):
		}
	}
}
