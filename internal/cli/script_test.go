package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sheaf": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())) },
	})
}

// TestStories runs testdata/script. Beside the commands of testscript:
//
//	node NAME [FLAGS]   run `sheaf serve` on the directory NAME until it is ready;
//	                    SHEAF_ADDR, HTTP_ADDR and READY (its two lines) then tell of it
//	end NAME [-SIGNAL]  signal it (TERM), and wait until it is gone; EXIT is its code
//	code N COMMAND      run a command that must end with this exit code
//	certificate NAME    write NAME.pem and NAME.key, valid for 127.0.0.1
//	half FROM TO        write the first half of one file to another
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			// With the race detector a process waits a second before it ends.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"node": startNode, "end": endNode, "code": wantCode, "certificate": writeCertificate, "half": writeHalf,
		},
	})
}

// running is a node of one script.
type running struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// nodes are those of all scripts, by work directory and name: scripts run at
// the same time.
var nodes sync.Map

func startNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: node NAME [FLAGS]")
	}
	exe, err := os.Executable()
	ts.Check(err)
	n := &running{cmd: &exec.Cmd{
		Path: exe, Dir: ts.Getenv("WORK"), Env: os.Environ(),
		Args: append([]string{
			"sheaf", "serve", "--data-dir", args[0],
			"--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		}, args[1:]...),
	}}
	n.cmd.Stderr = &n.stderr
	stdout, err := n.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(n.cmd.Start())
	ts.Defer(func() { _ = n.cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	var ready []string
	for len(ready) < 2 && lines.Scan() {
		ready = append(ready, lines.Text())
	}
	if len(ready) < 2 {
		_ = n.cmd.Wait()
		ts.Fatalf("the node did not get ready: %s\n%s", ready, n.stderr.String())
	}
	fields := strings.Fields(ready[0])
	ts.Setenv("SHEAF_ADDR", fields[4])
	ts.Setenv("HTTP_ADDR", fields[6])
	ts.Setenv("READY", strings.Join(ready, "\n"))
	nodes.Store(ts.Getenv("WORK")+args[0], n)
}

func endNode(ts *testscript.TestScript, neg bool, args []string) {
	signal := os.Signal(syscall.SIGTERM)
	if len(args) == 2 && args[1] == "-KILL" {
		signal = syscall.SIGKILL
	}
	n, ok := nodes.LoadAndDelete(ts.Getenv("WORK") + args[0])
	if neg || !ok {
		ts.Fatalf("no node %s runs", args[0])
	}
	r := n.(*running)
	ts.Check(r.cmd.Process.Signal(signal))
	_ = r.cmd.Wait()
	ts.Logf("%s", r.stderr.String())
	ts.Setenv("EXIT", fmt.Sprint(r.cmd.ProcessState.ExitCode()))
}

// wantCode runs a command and demands its exit code. Its output is for stdout
// and stderr, as with exec.
func wantCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

func writeHalf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: half FROM TO")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data[:len(data)/2], 0o600))
}
