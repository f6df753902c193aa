package web

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// TestAWriteThatStallsEndsWhenTheNodeDrains has a reader of a long answer stop, as one of a watch may.
func TestAWriteThatStallsEndsWhenTheNodeDrains(t *testing.T) {
	r := newRig(t, nil)
	ended := make(chan error, 1)
	r.Config.Handler = stalled(r, ended)
	conn, err := net.Dial("tcp", r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // fills the connection, or does so while it drains
	r.gate.Drain()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the write that stalled has no error")
		}
	case <-time.After(progressTimeout / 3):
		t.Error("the write goes on")
	}
}

// stalled writes as a watch does, for as long as it can.
func stalled(r *rig, ended chan<- error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		x := &exchange{w: w, r: req, control: http.NewResponseController(w), gate: r.gate, ctx: req.Context()}
		out := stream{x: x, push: true}
		for out.err == nil {
			out.out = append(out.out, make([]byte, flushBytes)...)
			out.spill(0)
		}
		ended <- out.err
	})
}
