package check

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/internal/freeport"
)

// patience is for what takes far less.
const patience = 60 * time.Second

// binaryDir holds the programs while the tests run.
var binaryDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if binaryDir, err = os.MkdirTemp("", "sheafcheck-test-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binaryDir)
		return m.Run()
	}())
}

// build compiles both programs, once for all tests.
var build = sync.OnceValue(func() error {
	out, err := exec.Command("go", "build", "-o", binaryDir, "github.com/sheafdb/sheaf/cmd/sheaf", "github.com/sheafdb/sheaf/cmd/sheafcheck").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
})

func program(t *testing.T, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(binaryDir, name)
}

// process is `sheaf serve`.
type process struct {
	cmd    *exec.Cmd
	ready  chan struct{} // closed when the ready line came or never will
	addr   string        // valid after ready; empty when it never came
	exited chan struct{}
}

var readyLine = regexp.MustCompile(` ready\b.* grpc (\S+) `)

// launch starts a node and does not wait.
func launch(t *testing.T, dir string, more ...string) *process {
	t.Helper()
	args := append([]string{
		"serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		"--disk-ballast-bytes", "1MiB", "--pebble-cache-bytes", "4MiB",
	}, more...)
	p := &process{cmd: exec.Command(program(t, "sheaf"), args...), ready: make(chan struct{}), exited: make(chan struct{})}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(stdout)
	t.Cleanup(p.kill)
	return p
}

func (p *process) follow(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if match := readyLine.FindStringSubmatch(lines.Text()); match != nil && p.addr == "" {
			p.addr = match[1]
			close(p.ready)
		}
	}
	if p.addr == "" {
		close(p.ready)
	}
	_ = p.cmd.Wait() // it is killed in the end
	close(p.exited)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

func (p *process) mustBeReady(t *testing.T) {
	t.Helper()
	within(t, p.ready, "the ready line")
	if p.addr == "" {
		t.Fatal("the node did not start")
	}
}

// serve starts a node alone and waits until it is ready.
func serve(t *testing.T) *process {
	t.Helper()
	p := launch(t, t.TempDir(), "--grpc-addr", freeport.Addr(t))
	p.mustBeReady(t)
	return p
}

// within waits for something that comes.
func within(t *testing.T, what <-chan struct{}, name string) {
	t.Helper()
	select {
	case <-what:
	case <-time.After(patience):
		t.Fatalf("%s did not come within %s", name, patience)
	}
}
