package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// TestDraining: a node that is stopped finishes the batch that it has begun and
// refuses the one that arrives meanwhile, on connections that were open before.
func TestDraining(t *testing.T) {
	dir, disk := t.TempDir(), &slowDisk{FS: vfs.Default}
	n := start(t, dir, disk, nil)
	web, rpc := httpFace{n}, grpcFace{n}
	must(t, rpc, call{id: "warm", entries: puts("warm=1")})

	arrived, release := disk.hold()
	defer release()
	begun := make(chan answer)
	for i, f := range n.faces() {
		before := inFlight(t, n)
		go func() { begun <- f.do(t, call{id: f.name(), entries: puts(fmt.Sprintf("begun%d=1", i))}) }()
		waitInFlight(t, n, before+1)
	}
	<-arrived

	// Requests whose first half came before the stop, on both faces.
	// Their sizes tell when the node has met them: a message of unknown size counts
	// as the largest.
	body := `{"entries":[{"key":"meanwhile","value":"1"}]}` + strings.Repeat(" ", 1<<20)
	w := dial(t, n)
	w.say(t, head("meanwhile", fmt.Sprintf("Content-Length: %d", len(body)))+body[:10])
	stream := openStream(t, n)
	waitInFlight(t, n, 65<<20)

	stopped := make(chan error)
	go func() { stopped <- n.Stop(context.Background()) }()
	await(t, "the node says that it is not ready", func() bool {
		resp, err := n.client.Get("http://" + n.adminAddr + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // its status is all that is asked for
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	await(t, "the node drains", func() bool { return !accepts(n) })
	w.say(t, body[10:])
	refusedWith(t, w.hear(t), sheaf.Draining)
	if got := grpcRefusal(t, stream.finish(t)); got.code != sheaf.Draining {
		t.Errorf("grpc: refused with %s", got.code)
	}

	release()
	for range 2 {
		if got := <-begun; got.refused != nil {
			t.Errorf("a batch that had begun was refused: %+v", got.refused)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	n = start(t, dir, nil, nil)
	web = httpFace{n}
	got := must(t, web, call{op: getAll, keys: []string{"warm", "begun0", "begun1", "meanwhile"}})
	for i, found := range []bool{true, true, true, false} {
		if got.items[i].found != found {
			t.Errorf("after the restart: %v", got.items[i])
		}
	}
}

// accepts reports whether the node takes another HTTP connection: listeners close
// only after requests began to be refused.
func accepts(n *target) bool {
	req, err := http.NewRequest("GET", "http://"+n.httpAddr+"/v1/keys/warm", nil)
	if err != nil {
		return false
	}
	req.Close = true
	resp, err := n.client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // its status is all that is asked for
	return resp.StatusCode == http.StatusOK
}

// halfRequest is a gRPC call whose message has not been sent.
type halfRequest struct{ grpc.ClientStream }

func openStream(t testing.TB, n *target) halfRequest {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := n.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/sheaf.v1.KVService/PutAll")
	if err != nil {
		t.Fatal(err)
	}
	return halfRequest{stream}
}

// finish sends the message and returns the status.
func (s halfRequest) finish(t testing.TB) error {
	t.Helper()
	msg := &sheafv1.PutAllRequest{Entries: []*sheafv1.Entry{{Key: []byte("meanwhile"), Value: []byte("1")}}}
	if err := errors.Join(s.SendMsg(msg), s.CloseSend()); err != nil {
		t.Fatal(err)
	}
	err := s.RecvMsg(new(sheafv1.PutAllResponse))
	if err == nil || err == io.EOF {
		t.Fatal("a request that arrived while the node drained was taken")
	}
	return err
}

// inFlight is what the node counts of requests.
func inFlight(t testing.TB, n *target) int64 {
	t.Helper()
	got, err := sheafv1.NewNodeServiceClient(n.conn).GetStatus(context.Background(), &sheafv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return got.BytesInFlight
}

func waitInFlight(t testing.TB, n *target, least int64) {
	t.Helper()
	await(t, "the halves of requests have arrived", func() bool { return inFlight(t, n) >= least })
}
