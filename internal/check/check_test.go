package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/check/cli"
	"github.com/sheafdb/sheaf/internal/check/drive"
	"github.com/sheafdb/sheaf/internal/check/history"
	"github.com/sheafdb/sheaf/internal/freeport"
)

// check runs the command in this process and returns its exit code and what it said.
func check(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Main(args, &out, &errs)
	return code, out.String(), errs.String()
}

func historyFile(t *testing.T) string { return filepath.Join(t.TempDir(), "history.jsonl") }

func TestAServerThatKeepsItsPromisesHolds(t *testing.T) {
	node := serve(t)
	file := historyFile(t)
	code, out, errs := check(t, "run", "--endpoints", node.addr, "--duration", "2s", "--history", file, "--clean", "--prefix", "mine/")
	if code != 0 || !strings.Contains(out, "HOLDS: ") {
		t.Fatalf("exit code %d:\n%s%s", code, out, errs)
	}
	for _, workload := range []string{"register", "batches", "bank", "stamps", "append", "sessions", "eventual", "watch"} {
		if !strings.Contains(out, workload) {
			t.Errorf("nothing is said of %s:\n%s", workload, out)
		}
	}
	if code, again, errs := check(t, "verify", file); code != 0 || again != out {
		t.Errorf("verify ends with %d and says something else:\n%s%s\nthan run:\n%s", code, again, errs, out)
	}
	c, err := client.New(node.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for item, err := range c.Scan(t.Context(), client.ScanOptions{}) {
		t.Fatalf("after --clean there is %s (%v)", item.Key, err)
	}
	if code, out, errs := check(t, "run", "--endpoints", node.addr, "--duration", "1s", "--history", file); code != 2 || out != "" {
		t.Errorf("a history is overwritten: exit code %d\n%s%s", code, out, errs)
	}
}

func TestAServerHoldsAtSequential(t *testing.T) {
	node := serve(t)
	code, out, errs := check(t, "run", "--endpoints", node.addr, "--duration", "1s", "--history", historyFile(t), "--level", "sequential")
	if code != 0 || strings.Contains(out, "bank") || !strings.Contains(out, "register") {
		t.Fatalf("exit code %d:\n%s%s", code, out, errs)
	}
}

// TestALyingServerIsCaught runs workloads through servers that break one promise each.
func TestALyingServerIsCaught(t *testing.T) {
	node := serve(t)
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			file := record(ctx, t, startLiar(t, node.addr, lie, cancel), lie.workloads())
			code, out, errs := check(t, "verify", file)
			first, _, _ := strings.Cut(out, "\n")
			if code != 1 || !strings.HasPrefix(first, "VIOLATED: ") || !strings.Contains(first, string(lie.want)+" (") {
				t.Errorf("exit code %d, want %q:\n%s%s", code, lie.want, out, errs)
			}
			t.Log(first)
		})
	}
}

// record drives a server until ctx ends, and returns the history.
func record(ctx context.Context, t *testing.T, addr string, workloads []string) string {
	t.Helper()
	name := historyFile(t)
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	config := drive.DefaultConfig()
	config.Endpoints, config.Prefix, config.Duration, config.Settle = []string{addr}, t.Name()+"/", 2*patience, 2*time.Second
	config.Workloads = workloads
	recorder, err := history.NewRecorder(file, &history.Run{Endpoints: config.Endpoints, Workloads: config.Workloads, Prefix: config.Prefix})
	if err != nil {
		t.Fatal(err)
	}
	if err := drive.Run(ctx, config, recorder, new(drive.Counts)); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestAClusterHoldsThroughAKill kills one node of three with -9 and starts it again.
func TestAClusterHoldsThroughAKill(t *testing.T) {
	const nodes = 3
	var members, endpoints []string
	var peers, dirs [nodes]string
	for i := range nodes {
		peers[i], dirs[i] = freeport.Addr(t), t.TempDir()
		members = append(members, fmt.Sprintf("n%d=%s", i+1, peers[i]))
		endpoints = append(endpoints, freeport.Addr(t))
	}
	node := func(i int) *process {
		return launch(t, dirs[i], "--grpc-addr", endpoints[i], "--node", fmt.Sprintf("n%d", i+1), "--cluster", strings.Join(members, ","), "--peer-addr", peers[i])
	}
	var running [nodes]*process
	for i := range nodes {
		running[i] = node(i)
	}
	for _, p := range running {
		p.mustBeReady(t)
	}
	file := historyFile(t)
	run, out := start(t, "run", "--endpoints", strings.Join(endpoints, ","), "--duration", "10m", "--killed", "--history", file)
	for victim := range nodes {
		size := sizeOf(file)
		waitUntil(t, "calls before the kill", func() bool { return sizeOf(file) > size+50_000 })
		running[victim].kill()
		size = sizeOf(file)
		waitUntil(t, "calls without the node", func() bool { return sizeOf(file) > size+50_000 })
		running[victim] = node(victim)
		running[victim].mustBeReady(t)
	}
	if err := run.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := run.Wait(); err != nil || !strings.Contains(out.String(), "HOLDS: ") {
		t.Errorf("%v:\n%s", err, out)
	}
	t.Log(out)
}

// start starts the program.
func start(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program(t, "sheafcheck"), args...)
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, or the test has failed
	return cmd, &out
}

func sizeOf(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// TestAnInterruptedRunIsJudged sends SIGINT, as Ctrl-C does.
func TestAnInterruptedRunIsJudged(t *testing.T) {
	node := serve(t)
	file := historyFile(t)
	cmd, out := start(t, "run", "--endpoints", node.addr, "--duration", "10m", "--history", file)
	waitUntil(t, "calls", func() bool { return sizeOf(file) > 500_000 })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "stopped before its time") || !strings.Contains(out.String(), "HOLDS: ") {
		t.Errorf("after SIGINT: %v\n%s", err, out.String())
	}
}

// TestAKilledRunCanBeVerified kills the checker itself.
func TestAKilledRunCanBeVerified(t *testing.T) {
	node := serve(t)
	file := historyFile(t)
	cmd, _ := start(t, "run", "--endpoints", node.addr, "--duration", "10m", "--history", file)
	waitUntil(t, "calls", func() bool { return sizeOf(file) > 500_000 })
	_ = cmd.Process.Kill() // it runs for ten minutes
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	code, out, errs := check(t, "verify", file)
	if code != 0 || !strings.Contains(out, "did not come to its end") {
		t.Errorf("exit code %d:\n%s%s", code, out, errs)
	}
}

// TestWhatCannotBeFoundOutIsNoPass has everything that must end with 2.
func TestWhatCannotBeFoundOutIsNoPass(t *testing.T) {
	node := serve(t)
	damaged := historyFile(t)
	if err := os.WriteFile(damaged, []byte("{}\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := freeport.Addr(t)
	for name, args := range map[string][]string{
		"too few succeeded":    {"run", "--endpoints", node.addr, "--duration", "100ms", "--min-ok", "1000000", "--history", historyFile(t)},
		"nobody is there":      {"run", "--endpoints", nobody, "--history", historyFile(t)},
		"no such workload":     {"run", "--endpoints", node.addr, "--workload", "magic"},
		"too few clients":      {"run", "--endpoints", node.addr, "--clients", "3"},
		"a level too low":      {"run", "--endpoints", node.addr, "--workload", "bank", "--level", "sequential"},
		"no such level":        {"run", "--endpoints", node.addr, "--level", "best"},
		"a floor of nothing":   {"run", "--endpoints", node.addr, "--min-ok", "much"},
		"no such authority":    {"run", "--endpoints", node.addr, "--tls-ca", filepath.Join(t.TempDir(), "none")},
		"plain text and TLS":   {"run", "--endpoints", node.addr, "--tls-ca", damaged},
		"no such flag":         {"run", "--fast"},
		"no such command":      {"walk"},
		"no file":              {"verify", filepath.Join(t.TempDir(), "none")},
		"no name of a file":    {"verify"},
		"a file that is other": {"verify", damaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, out, errs := check(t, args...); code != 2 || out == "" && errs == "" {
				t.Errorf("exit code %d:\n%s%s", code, out, errs)
			}
		})
	}
}
