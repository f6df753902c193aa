package peer

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestPulsesKeepALaneOpen: an hour without a frame is no reason to dial again.
func TestPulsesKeepALaneOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		arrived := make(chan int, 1)
		p, _, dials := newPairInMemory(t, &fakeHandler{frame: func(_ uint64, frame []byte) { arrived <- numberOf(frame) }})
		time.Sleep(time.Hour)
		p.client.Send(2, Urgent, [][]byte{numbered(1, 8)})
		<-arrived
		if n := dials.Load(); n != int64(lanes) {
			t.Errorf("%d connections were made", n)
		}
	})
}

// TestASilentNodeIsNoticed: it admits, takes what comes, and says nothing more. Calls to it
// end too, and may have been done.
func TestASilentNodeIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l, _ := newPairInMemory(t, nil)
		asked := make(chan bool)
		go func() {
			for {
				raw, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer raw.Close()
					c, g, err := admitByHand(raw)
					if err != nil {
						return
					}
					if _, err := c.receive(); err == nil && g.Purpose == forCalls {
						asked <- true
					}
					_, _ = io.Copy(io.Discard, c.frames.src)
				}()
			}
		}()
		defer l.Close()
		began := time.Now()
		failed := make(chan error)
		go func() {
			_, err := p.client.Call(context.Background(), 2, []byte("request"))
			failed <- err
		}()
		<-asked
		if err := <-failed; err == nil || isNotSent(err) {
			t.Errorf("the call: %v", err)
		}
		if took := time.Since(began); took < silence || took > silence+3*pulseEvery {
			t.Errorf("it was noticed after %v", took)
		}
		<-p.lost
		if p.clientLog.count(errSilent.Error()) != 1 {
			t.Error("it is not said why")
		}
	})
}

// TestARefusedLaneIsTriedNowAndThen: each attempt costs both sides a handshake.
func TestARefusedLaneIsTriedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, dials := newPairInMemory(t, &fakeHandler{admit: func(Identity, uint64) error { return errors.New("no") }})
		time.Sleep(time.Minute)
		if n := dials.Load(); n < 60 || n > 140 {
			t.Errorf("two lanes were dialed %d times in a minute", n)
		}
		if n := p.clientLog.count("node cannot be reached"); n != 1 {
			t.Errorf("it was said %d times that the node cannot be reached", n)
		}
	})
}

func TestAnEmptyFrameIsNotTakenForAPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, dials := newPairInMemory(t, &fakeHandler{})
		for range 60 {
			p.client.Send(2, Urgent, [][]byte{nil, {}})
			time.Sleep(time.Second)
		}
		if n := dials.Load(); n != int64(lanes) || len(p.lost) > 0 {
			t.Errorf("the lanes were dialed %d times", n)
		}
	})
}

// TestASilentCallerOfALaneIsCut: he says he would send, and not even pulses come.
func TestASilentCallerOfALaneIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		p := newCaller(t, nil)
		p.serve(&fakeHandler{}, l, nil)
		raw, err := l.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		enter(t, raw, forUrgent)
		if n, err := raw.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		if took := time.Since(began); took != silence {
			t.Errorf("he was cut after %v", took)
		}
	})
}
