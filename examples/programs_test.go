package examples

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/client/clienttest"
)

var programs = []string{"cache", "configwatch", "features", "loader", "putall", "transfer"}

// build returns a directory with the programs in it.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestProgramsKeepTheirManners: they explain themselves, name what is wrong, end when they are told to,
// and do what their README shows.
func TestProgramsKeepTheirManners(t *testing.T) {
	dir := build(t)
	node := clienttest.Start(t)
	for _, name := range programs {
		program := filepath.Join(dir, name)
		t.Run(name, func(t *testing.T) {
			t.Run("explains itself", func(t *testing.T) {
				out, err := exec.Command(program, "-h").CombinedOutput()
				if err != nil || !bytes.Contains(out, []byte("Example:\n")) || !bytes.Contains(out, []byte("-addr host:port")) {
					t.Errorf("%v\n%s", err, out)
				}
			})
			t.Run("names what is wrong", func(t *testing.T) {
				cmd := exec.Command(program, append([]string{"--addr", "127.0.0.1:1", "--timeout", "200ms"}, argsOf[name]...)...)
				cmd.Stdin = strings.NewReader("id\n1\n")
				var stderr strings.Builder
				cmd.Stderr = &stderr
				err := cmd.Run()
				if cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(stderr.String(), name+": ") || !strings.Contains(stderr.String(), "127.0.0.1:1") {
					t.Errorf("%v\n%s", err, stderr.String())
				}
			})
			t.Run("does what its README shows", func(t *testing.T) { runReadme(t, name, program, node.Addr()) })
		})
	}
	for _, name := range []string{"configwatch", "loader"} { // those that may wait for ever
		t.Run(name+" ends when it is told to", func(t *testing.T) { interrupt(t, filepath.Join(dir, name), node) })
	}
}

// argsOf is what a program is told beside its flags.
var argsOf = map[string][]string{"cache": {"key"}, "putall": {"a=1"}}

// runReadme runs the commands that a README shows with their output. "…" stands for anything.
func runReadme(t *testing.T, name, program, addr string) {
	readme, err := os.ReadFile(filepath.Join(name, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(readme), "```console\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		command, want, _ := strings.Cut(strings.TrimPrefix(block, "$ "), "\n")
		command = strings.Replace(command, "go run ./examples/"+name, program+" --addr "+addr, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput()
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$"
		if err != nil || !regexp.MustCompile(pattern).Match(got) {
			t.Errorf("$ %s\n%s%v\nits README says:\n%s", command, got, err, want)
		}
	}
}

// interrupt starts a program without an end to its input, and sends SIGINT when it is at work.
func interrupt(t *testing.T, program string, node *clienttest.Node) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--addr", node.Addr())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	loader := filepath.Base(program) == "loader"
	if loader { // a pipe does not hold so much: when it is written, the program is reading
		_, err = stdin.Write(append([]byte("id\n"), bytes.Repeat([]byte("1"), 1<<17)...))
	} else if !lines.Scan() {
		err = lines.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	err = cmd.Wait()
	want := 0
	if loader {
		want = 1 // not all of it is loaded
	}
	if cmd.ProcessState.ExitCode() != want {
		t.Errorf("it ended with %v", err)
	}
}
