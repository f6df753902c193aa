// Command peers measures Sheaf beside the stores that people would use instead.
//
//	go -C bench run ./peers
//
// Every contestant gets fresh data on the same disk and the same work, in turns,
// round by round, so that a machine which is busy for a while is busy for all of
// them. The scenarios, chosen with -scenario, are in files of their names. Peers
// that are not installed are left out and named.
//
// Contestants promise different things, and the tables say which promises what.
// The package builds the Sheaf server from the tree around it and reads /proc, so
// it runs on Linux, inside the bench module. Client and servers share the
// machine's cores, and so do the three servers of a cluster. Reads are measured of
// Sheaf only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		exit(beChild(os.Args[2:]), 1)
	}
	p, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	exit(err, 2)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once; the kernel then ends the servers.
	context.AfterFunc(ctx, stop)
	err = run(ctx, p)
	stop()
	exit(err, 1)
}

// exit ends the process if there is an error.
func exit(err error, code int) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(code)
	}
}

// run runs the scenarios and prints what each found as soon as it is complete.
func run(ctx context.Context, p plan) (err error) {
	s, err := newSession(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	fmt.Printf("%s\n", s.report.Machine)
	if len(s.missing) > 0 {
		fmt.Printf("\nNot installed, left out: %s.\n", strings.Join(s.missing, ", "))
	}
	for _, sc := range p.scenarios {
		found, err := sc.run(ctx, s)
		if found != nil {
			s.report.Found[sc.name] = found
			fmt.Printf("\n## %s\n\n%s\n\n%s", sc.name, sc.about, found.markdown())
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", sc.name, err), s.save())
		}
	}
	return s.save()
}
