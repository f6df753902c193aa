package crashtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// healthyWithin bounds the time from the end of the last fault until nothing is left of it.
const healthyWithin = 30 * time.Second

// awaitHealth waits until all nodes say that all is well, no batch holds a key anywhere, and all
// replicas are equal. It wants that within healthyWithin of began, and returns how long it took.
func (c *testCluster) awaitHealth(h *history, began time.Time) time.Duration {
	c.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	last := ""
	for {
		ill := c.ill(h)
		took := time.Since(began)
		if ill != last && took > healthyWithin/10 {
			c.t.Logf("%s after the last fault: %s", took.Round(time.Millisecond), ill)
		}
		last = ill
		if took > healthyWithin {
			c.sayWhereTheyHang()
			c.t.Fatalf("%s after the last fault: %s", took.Round(time.Millisecond), ill)
		}
		if ill == "" {
			return took
		}
		<-look.C
	}
}

// sayWhereTheyHang ends all nodes with a trace of their goroutines.
func (c *testCluster) sayWhereTheyHang() {
	for i := range c.nodes {
		c.t.Logf("node %d:\n%s", i+1, c.proc(i).trace(c.t))
	}
}

// trace ends a process and returns where its goroutines were.
func (p *process) trace(t *testing.T) string {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended by itself
	within(t, p.exited, "the end after SIGQUIT")
	_, trace, _ := strings.Cut(p.stderr.String(), "SIGQUIT")
	return trace
}

// ill says what is wrong with the cluster, "" if nothing is.
func (c *testCluster) ill(h *history) string {
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	for i := range c.nodes {
		status, err := c.client(i).Cluster(ctx)
		switch {
		case err != nil:
			return fmt.Sprintf("node %d: %v", i+1, err)
		case len(status.GetNodes()) != c.nodes:
			return fmt.Sprintf("node %d knows %d nodes", i+1, len(status.GetNodes()))
		case len(status.GetProblems()) > 0:
			return fmt.Sprintf("node %d says: %s", i+1, strings.Join(status.GetProblems(), "; "))
		}
		page, err := scrape(ctx, c.proc(i).admin)
		if err != nil {
			return fmt.Sprintf("node %d: %v", i+1, err)
		}
		for line := range strings.SplitSeq(page, "\n") {
			if strings.HasPrefix(line, "sheaf_prepared_batches{") && !strings.HasSuffix(line, " 0") {
				return fmt.Sprintf("node %d: %s", i+1, line)
			}
		}
	}
	return c.unequal(ctx, h)
}

func scrape(ctx context.Context, addr string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	page, err := io.ReadAll(response.Body)
	return string(page), err
}

// unequal reads every replica's own state, and says where two differ.
func (c *testCluster) unequal(ctx context.Context, h *history) string {
	var keys [][]byte
	for group := range h.groups {
		keys = append(keys, keysOf(group)...)
	}
	var first []sheaf.Item
	for i := range c.nodes {
		values, err := c.client(i).GetAll(ctx, keys, client.At(sheaf.Eventual))
		if err != nil {
			return fmt.Sprintf("node %d: %v", i+1, err)
		}
		if i == 0 {
			first = values.Items
		}
		for n, item := range values.Items {
			if item.Version != first[n].Version || string(item.Value) != string(first[n].Value) {
				return fmt.Sprintf("nodes 1 and %d differ in %q: versions %d and %d", i+1, keys[n], first[n].Version, item.Version)
			}
		}
	}
	return ""
}

// client is one of a node, for what is asked again and again.
func (c *testCluster) client(i int) *client.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clients[i] == nil {
		c.clients[i] = connect(c.t, c.addrs[i])
	}
	return c.clients[i]
}

// mustEnd waits for the end of a process and wants its exit code and words.
func (p *process) mustEnd(t *testing.T, words ...string) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("no end within %s:\n%s", patience, p.trace(t))
	}
	if p.code != exitDamaged {
		t.Errorf("exit code %d, want %d:\n%s", p.code, exitDamaged, p.stderr.brief())
	}
	for _, word := range words {
		if !strings.Contains(p.stderr.String(), word) {
			t.Errorf("the process does not say %q:\n%s", word, p.stderr.brief())
		}
	}
}
