package clienttest_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/client/clienttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestANodeForTestsIsAWholeNode: both faces, conditions, and watches.
func TestANodeForTestsIsAWholeNode(t *testing.T) {
	n := clienttest.Start(t, clienttest.WithGroups(2))
	c := n.Client(t)
	wrote, err := c.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("a", "1"), sheaf.Put("b", "2")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), []byte("a"), []byte("2"), client.IfMatch(`"00000000000000000000000000000000"`)); sheaf.CodeOf(err) != sheaf.ETagMismatch {
		t.Errorf("a wrong ETag: %v", err)
	}
	resp, err := http.Get("http://" + n.HTTPAddr() + "/v1/keys/b")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "2" {
		t.Errorf("over HTTP: %q, %v", body, err)
	}
	for event, err := range c.Watch(t.Context(), client.WatchOptions{Oldest: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Version != wrote.Version || len(event.Changes) != 2 {
			t.Errorf("%+v", event)
		}
		break
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestANodeForTestsCanBeAway, and comes back with its data; a client that waits notices nothing.
func TestANodeForTestsCanBeAway(t *testing.T) {
	n := clienttest.Start(t)
	c := n.Client(t)
	if _, err := c.Put(t.Context(), []byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	n.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Get(ctx, []byte("k")); err == nil {
		t.Error("a node that is away has answered")
	}
	waited := make(chan error)
	go func() {
		item, err := c.Get(t.Context(), []byte("k"))
		if err == nil && string(item.Value) != "v" {
			t.Errorf("the value is %q", item.Value)
		}
		waited <- err
	}()
	n.Start(t)
	if err := <-waited; err != nil {
		t.Error(err)
	}
}
