package contest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// startTimeout is how long a server on an empty directory may take to be ready.
const startTimeout = 30 * time.Second

// Servers are the processes of a contestant: one, or those of a cluster.
type Servers interface {
	// Alive ends with the first of them, or with the context they were started in, so
	// that no call waits for one that is gone.
	Alive() context.Context
	// PIDs are their numbers.
	PIDs() []int
	// Dial connects to one of them that does not say when it listens.
	Dial(addr string) (net.Conn, error)
	// Kill ends them at once and waits for their end.
	Kill()
}

// Process is a server that this process started.
type Process struct {
	cmd *exec.Cmd
	// alive ends with the process, so that no call waits for one that is gone.
	alive context.Context
	ended chan struct{} // closed when the process was waited for
	first chan string   // gets the first line of its output
}

// StartProcess starts a server. Its errors go to this process's standard error,
// its output is dropped but for the first line.
func StartProcess(ctx context.Context, cmd *exec.Cmd) (*Process, error) {
	cmd.Stderr = os.Stderr
	// Its own process group keeps the terminal's Ctrl-C away from it: this
	// process ends it, or the kernel does if this one is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	alive, cancel := context.WithCancelCause(ctx)
	p := &Process{cmd: cmd, alive: alive, ended: make(chan struct{}), first: make(chan string, 1)}
	go func() {
		defer close(p.ended)
		out := bufio.NewReader(stdout)
		line, _ := out.ReadString('\n')
		p.first <- line
		_, _ = io.Copy(io.Discard, out) // until the process closes it
		_ = cmd.Wait()                  // its error says less than the state
		cancel(fmt.Errorf("the server ended: %v", cmd.ProcessState))
	}()
	return p, nil
}

// FirstLine waits for the first line of the server's output, for at most the
// time that a server on an empty directory may take. Only one call gets it.
func (p *Process) FirstLine(timeout time.Duration) (string, error) {
	select {
	case line := <-p.first:
		return line, nil
	case <-time.After(timeout):
		return "", fmt.Errorf("the server was not ready after %v", timeout)
	case <-p.alive.Done():
		return "", context.Cause(p.alive)
	}
}

// Dial connects to a server that does not say when it listens.
func (p *Process) Dial(addr string) (net.Conn, error) { return dial(p.alive, addr) }

func dial(alive context.Context, addr string) (conn net.Conn, err error) {
	_, err = Retry(alive, startTimeout, func() error {
		conn, err = net.Dial("tcp", addr)
		return err
	})
	return conn, err
}

// Alive ends with the process, or with the context it was started in.
func (p *Process) Alive() context.Context { return p.alive }

// PIDs is the process's number.
func (p *Process) PIDs() []int { return []int{p.cmd.Process.Pid} }

// Kill ends the process at once and waits for its end.
func (p *Process) Kill() {
	p.kill()
	<-p.ended
}

func (p *Process) kill() { _ = p.cmd.Process.Kill() } // it may have ended by itself
