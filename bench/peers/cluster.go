package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/sheafdb/sheaf/bench/contest"
)

// beginning starts a child, or the children of a cluster, and returns their addresses.
type beginning func(ctx context.Context, name, dir string) (contest.Servers, []string, error)

// place is a server's in its cluster; the zero place is that of a server alone.
type place struct {
	seat  int
	addrs []string // of all, in the order of their seats
}

func (p place) alone() bool { return len(p.addrs) == 0 }

// args are the place as the child is told of it.
func (p place) args() []string {
	if p.alone() {
		return nil
	}
	return []string{strconv.Itoa(p.seat), strings.Join(p.addrs, ",")}
}

func parsePlace(args []string) (p place, err error) {
	if len(args) == 0 {
		return p, nil
	}
	if len(args) != 2 {
		return p, fmt.Errorf("a place is a seat and addresses, not %q", args)
	}
	p.addrs = strings.Split(args[1], ",")
	if p.seat, err = strconv.Atoi(args[0]); err == nil && (p.seat < 0 || p.seat >= len(p.addrs)) {
		err = fmt.Errorf("there is no seat %d of %d", p.seat, len(p.addrs))
	}
	return p, err
}

// startChildren is startChild for the three servers of a cluster.
func startChildren(ctx context.Context, name, dir string) (contest.Servers, []string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	addrs, err := contest.FreeAddrs()
	if err != nil {
		return nil, nil, err
	}
	trio, err := contest.StartTrio(ctx, func(i int) *exec.Cmd {
		args := append([]string{childWord, name, contest.ServerDir(dir, i)}, place{i, addrs}.args()...)
		return exec.Command(program, args...)
	})
	if err != nil {
		return nil, nil, err
	}
	lines, err := trio.FirstLines(childStartTimeout)
	return childrenAt(trio, lines, err)
}

// sendAgainTimeout is how long a cluster may be without a leader during a turn.
const sendAgainTimeout = 30 * time.Second

// sendAgain sends a batch, and in a cluster sends it again while it fails: another
// server may have taken the lead. With one server an error is one.
func sendAgain(servers contest.Servers, count int, send func() error) (retries int, err error) {
	timeout := sendAgainTimeout
	if count == 1 {
		timeout = 0
	}
	retries, err = contest.Retry(servers.Alive(), timeout, send)
	if servers.Alive().Err() != nil {
		err = context.Cause(servers.Alive())
	}
	return retries, err
}
