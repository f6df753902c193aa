package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/sheafdb/sheaf/bench/contest"
)

// The servers that are Go modules run in a process of their own, so that their
// CPU time and memory are. It is this program again, started as
//
//	peers child NAME DIRECTORY [SEAT ADDRESS,ADDRESS,ADDRESS]
//
// which prints "ready ADDRESS" and serves until it is killed. The addresses are where
// the servers of a cluster meet; that of the seat, counted from 0, is its own.
const childWord = "child"

const (
	etcdChild       = "etcd"
	natsChild       = "nats"
	natsSyncedChild = "nats-synced"
)

var children = map[string]func(dir string, p place) (addr string, err error){
	etcdChild:       serveEtcd,
	natsChild:       func(dir string, p place) (string, error) { return serveNATS(dir, p, false) },
	natsSyncedChild: func(dir string, p place) (string, error) { return serveNATS(dir, p, true) },
}

// childStartTimeout is how long a child may take to be ready.
const childStartTimeout = 60 * time.Second

// beChild serves and does not return, unless it cannot.
func beChild(args []string) error {
	if len(args) < 2 || children[args[0]] == nil {
		return fmt.Errorf("%s is started by this program itself", childWord)
	}
	p, err := parsePlace(args[2:])
	if err != nil {
		return err
	}
	addr, err := children[args[0]](args[1], p)
	if err != nil {
		return err
	}
	fmt.Println("ready", addr)
	select {}
}

// startChild starts this program as a server and returns its address.
func startChild(ctx context.Context, name, dir string) (contest.Servers, []string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	process, err := contest.StartProcess(ctx, exec.Command(program, childWord, name, dir))
	if err != nil {
		return nil, nil, err
	}
	line, err := process.FirstLine(childStartTimeout)
	return childrenAt(process, []string{line}, err)
}

// childrenAt reads the addresses of children from their first lines, and ends the
// children if there was an error.
func childrenAt(servers contest.Servers, lines []string, err error) (contest.Servers, []string, error) {
	addrs := make([]string, len(lines))
	for i, line := range lines {
		var ok bool
		if addrs[i], ok = strings.CutPrefix(strings.TrimSpace(line), "ready "); !ok && err == nil {
			err = fmt.Errorf("the child did not say where it is: %q", line)
		}
	}
	if err != nil {
		servers.Kill()
		return nil, nil, err
	}
	return servers, addrs, nil
}
