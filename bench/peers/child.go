package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/sheafdb/sheaf/bench/contest"
)

// The servers that are Go modules run in a process of their own, so that their
// CPU time and memory are. It is this program again, started as
//
//	peers child NAME DIRECTORY
//
// which prints "ready ADDRESS" and serves until it is killed.
const childWord = "child"

const (
	etcdChild       = "etcd"
	natsChild       = "nats"
	natsSyncedChild = "nats-synced"
)

var children = map[string]func(dir string) (addr string, err error){
	etcdChild:       serveEtcd,
	natsChild:       func(dir string) (string, error) { return serveNATS(dir, false) },
	natsSyncedChild: func(dir string) (string, error) { return serveNATS(dir, true) },
}

// childStartTimeout is how long a child may take to be ready.
const childStartTimeout = 60 * time.Second

// beChild serves and does not return, unless it cannot.
func beChild(args []string) error {
	if len(args) != 2 || children[args[0]] == nil {
		return fmt.Errorf("%s is started by this program itself", childWord)
	}
	addr, err := children[args[0]](args[1])
	if err != nil {
		return err
	}
	fmt.Println("ready", addr)
	select {}
}

// startChild starts this program as a server and returns its address.
func startChild(ctx context.Context, name, dir string) (*contest.Process, string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	process, err := contest.StartProcess(ctx, exec.Command(program, childWord, name, dir))
	if err != nil {
		return nil, "", err
	}
	line, err := process.FirstLine(childStartTimeout)
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err == nil && !ok {
		err = fmt.Errorf("%s did not say where it is: %q", name, line)
	}
	if err == nil {
		_, _, err = net.SplitHostPort(addr)
	}
	if err != nil {
		process.Kill()
		return nil, "", err
	}
	return process, addr, nil
}
