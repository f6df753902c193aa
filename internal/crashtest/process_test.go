package crashtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// exitDamaged is the exit code that means "the server or its data is damaged".
const exitDamaged = 7

// binaryDir holds the program while the tests run.
var binaryDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if binaryDir, err = os.MkdirTemp("", "sheaf-crashtest-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binaryDir)
		return m.Run()
	}())
}

// build compiles the program, once for all tests.
var build = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(binaryDir, "sheaf")
	out, err := exec.Command("go", "build", "-o", path, "github.com/sheafdb/sheaf/cmd/sheaf").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build cmd/sheaf: %w\n%s", err, out)
	}
	return path, nil
})

func program(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buildBreakable compiles the program that can be broken from outside.
var buildBreakable = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(binaryDir, "sheaf-breakable")
	out, err := exec.Command("go", "build", "-tags", "failpoints", "-o", path, "github.com/sheafdb/sheaf/cmd/sheaf").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build cmd/sheaf with failpoints: %w\n%s", err, out)
	}
	return path, nil
})

// process is `sheaf serve` as a process of its own.
type process struct {
	cmd    *exec.Cmd
	stderr *transcript
	ready  chan struct{} // closed when the ready line came or never will
	addr   string        // valid after ready; empty when it never came
	http   string        // like addr
	admin  string        // like addr
	exited chan struct{}
	code   int // valid after exited; -1 for a signal
}

// serveArgs are those of a node with small files on ports of its own.
func serveArgs(dir, store string, more ...string) []string {
	return append([]string{
		"serve", "--data-dir", dir, "--store", store,
		"--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		"--disk-ballast-bytes", "1MiB", "--pebble-cache-bytes", "4MiB", "--logging-format", "text",
	}, more...)
}

// launch starts a program, which is or becomes `sheaf serve`, and does not wait.
func launch(t *testing.T, path string, args ...string) *process {
	t.Helper()
	return launchIn(t, nil, path, args...)
}

// launchIn starts it with more in its environment.
func launchIn(t *testing.T, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{
		cmd: exec.Command(path, args...), stderr: &transcript{},
		ready: make(chan struct{}), exited: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(stdout)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("process %d ended with %d and said:\n%s", p.cmd.Process.Pid, p.code, p.stderr.brief())
		}
	})
	return p
}

var readyLine = regexp.MustCompile(` ready\b.* grpc (\S+) .*http (\S+) .*admin (\S+) `)

// follow reads standard output to its end and then collects the exit code.
func (p *process) follow(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if match := readyLine.FindStringSubmatch(lines.Text()); match != nil && p.addr == "" {
			p.addr, p.http, p.admin = match[1], match[2], match[3]
			close(p.ready)
		}
	}
	if p.addr == "" {
		close(p.ready)
	}
	_ = p.cmd.Wait() // its error is the exit code
	p.code = p.cmd.ProcessState.ExitCode()
	close(p.exited)
}

// serve starts a node and waits until it is ready.
func serve(t *testing.T, dir, store string, more ...string) *process {
	t.Helper()
	p := launch(t, program(t), serveArgs(dir, store, more...)...)
	p.mustBeReady(t)
	return p
}

func (p *process) mustBeReady(t *testing.T) {
	t.Helper()
	within(t, p.ready, "the ready line")
	if p.addr == "" {
		<-p.exited
		t.Fatalf("the node did not start, exit code %d:\n%s", p.code, p.stderr)
	}
}

// kill ends the process as a crash of the program would, and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// terminate asks the process to end in good order and returns its exit code.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience / 2):
		t.Errorf("no end within %s of SIGTERM:\n%s", patience/2, p.trace(t))
	}
	return p.code
}

// refused starts a node that must not come up, and wants its exit code and every
// one of these words on standard error.
func refused(t *testing.T, dir, store string, code int, words ...string) {
	t.Helper()
	p := launch(t, program(t), serveArgs(dir, store)...)
	within(t, p.ready, "the ready line or the end of the process")
	if p.addr == "" {
		within(t, p.exited, "the end of a process that does not serve")
	}
	if p.addr != "" {
		t.Fatalf("the node serves, want a refusal with exit code %d:\n%s", code, p.stderr)
	}
	if p.code != code {
		t.Errorf("exit code %d, want %d:\n%s", p.code, code, p.stderr)
	}
	for _, word := range words {
		if !strings.Contains(p.stderr.String(), word) {
			t.Errorf("the refusal does not say %q:\n%s", word, p.stderr)
		}
	}
}

func (p *process) pid() string { return strconv.Itoa(p.cmd.Process.Pid) }
