package peer

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestABrokenFrameIsNotSeen: it ends its connection, with a reason for whoever looks.
func TestABrokenFrameIsNotSeen(t *testing.T) {
	for _, what := range []purpose{forUrgent, forBulk, forCalls, forState} {
		t.Run(string(what), func(t *testing.T) {
			p := newPair(t, &fakeHandler{ // has nothing for frames and calls
				state: func(_ context.Context, _ uint64, next func() ([]byte, error)) error {
					piece, err := next()
					if err == nil {
						t.Errorf("%q was taken", piece)
					}
					return err
				},
			}, nil, nil)
			p.client.Close()
			c := enterTCP(t, p.addr, what)
			frame := frameOf([]byte("some bytes"))
			frame[headerBytes+3] ^= 4
			if _, err := c.raw.Write(frame); err != nil {
				t.Fatal(err)
			}
			if what == forState { // the sender is told
				if err := c.hear(); err == nil {
					t.Error("the state was taken")
				}
				c.close()
			} else {
				mustEnd(t, c.raw)
			}
			waitFor(t, "that is logged", func() bool { return p.serverLog.count("broken frame") == 1 })
		})
	}
}

// TestALaneSurvivesADamagedWay: what was damaged is lost, and the lane goes on.
func TestALaneSurvivesADamagedWay(t *testing.T) {
	arrived := make(chan int, 1000)
	p := newPair(t, &fakeHandler{frame: func(_ uint64, frame []byte) { arrived <- numberOf(frame) }}, nil, nil)
	for _, l := range []Lane{Urgent, Bulk} { // a dial that is under way would take the place of one by the proxy
		p.client.Send(2, l, [][]byte{numbered(0, 100)})
		get(t, "a frame of a lane", arrived)
	}
	way := newDamagingProxy(t, p.addr)
	p.client.Know(2, "n2", way.addr)
	n := 0
	send := func() {
		n++
		p.client.Send(2, Urgent, [][]byte{numbered(n, 100)})
	}
	send()
	p.client.Send(2, Bulk, [][]byte{numbered(0, 100)})
	get(t, "a frame", arrived)
	get(t, "a frame of the other lane", arrived)
	way.damage.Store(true)
	send()
	get(t, "that frames are lost", p.lost)
	for { // until the lane is back
		send()
		select {
		case got := <-arrived:
			if got == 2 {
				t.Error("the damaged frame was seen")
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// damagingProxy carries connections, and flips one bit when it is told to.
type damagingProxy struct {
	addr   string
	damage atomic.Bool
}

func newDamagingProxy(t *testing.T, to string) *damagingProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &damagingProxy{addr: l.Addr().String()}
	carry := func(from, to net.Conn, mayDamage bool) {
		defer from.Close()
		defer to.Close()
		buf := make([]byte, 1000)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if mayDamage && n > headerBytes && p.damage.CompareAndSwap(true, false) {
				buf[n-1] ^= 1
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				t.Error(err)
				return
			}
			go carry(from, far, true)
			go carry(far, from, false)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return p
}
