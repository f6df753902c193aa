package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadmeSessionIsTrue runs every console block of the README that needs a
// node, in order, against a fresh one, and compares the output to the letter.
// "…" stands for anything; "[exit N]" is the exit code of the command above.
func TestReadmeSessionIsTrue(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the session uses curl")
	}
	dir := t.TempDir()
	grpcAddr, httpAddr := startReadmeNode(t, dir)
	ran := 0
	for _, block := range consoleBlocks(string(readme)) {
		if strings.Contains(block, "sheaf serve") {
			continue // the story of the Go tree: internal/crashtest
		}
		for _, step := range strings.Split("\n"+block, "\n$ ")[1:] {
			command, want, _ := strings.Cut(step, "\n")
			got := runReadmeCommand(t, dir, command, grpcAddr, httpAddr)
			if !matchesReadme(want, got) {
				t.Errorf("$ %s\ngot:\n%s\nthe README says:\n%s", command, got, want)
			}
			ran++
		}
	}
	if ran < 5 {
		t.Errorf("only %d commands were found in the README", ran)
	}
}

func consoleBlocks(text string) (blocks []string) {
	for _, part := range strings.Split(text, "```console\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

func startReadmeNode(t *testing.T, dir string) (grpcAddr, httpAddr string) {
	t.Helper()
	cmd := exec.Command("sheaf", "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	cmd.Dir = dir
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	ready := regexp.MustCompile(`grpc (\S+) +http (\S+) `).FindStringSubmatch(line)
	if ready == nil {
		t.Fatalf("no ready line: %q", line)
	}
	return ready[1], ready[2]
}

func runReadmeCommand(t *testing.T, dir, command, grpcAddr, httpAddr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(command, "localhost:7451", httpAddr))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SHEAF_ADDR="+grpcAddr)
	out, err := cmd.CombinedOutput()
	got := strings.TrimSpace(string(out))
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got += fmt.Sprintf("\n[exit %d]", exit.ExitCode())
	} else if err != nil {
		t.Fatal(err)
	}
	return got
}

func matchesReadme(want, got string) bool {
	pattern := regexp.QuoteMeta(strings.TrimSpace(want))
	pattern = "(?s)^" + strings.ReplaceAll(pattern, "…", ".*") + "$"
	return regexp.MustCompile(pattern).MatchString(strings.TrimSpace(got))
}
