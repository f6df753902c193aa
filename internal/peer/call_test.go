package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// echoCall answers with the request.
func echoCall(_ context.Context, _ uint64, request []byte) ([]byte, error) { return request, nil }

func TestCallsAreAnswered(t *testing.T) {
	p := newPair(t, &fakeHandler{call: echoCall}, nil, nil)
	var callers sync.WaitGroup
	for caller := range 50 {
		callers.Go(func() {
			for n := range 20 {
				request := fmt.Sprint(caller, "/", n, strings.Repeat("x", caller*n*10))
				answer, err := p.client.Call(p.ctx(), 2, []byte(request[:1]), nil, []byte(request[1:]))
				if err != nil || string(answer) != request {
					t.Errorf("caller %d, call %d: %d bytes, %v", caller, n, len(answer), err)
				}
			}
		})
	}
	callers.Wait()
	for name, request := range map[string][]byte{"empty": {}, "16 MiB": make([]byte, 16<<20)} {
		if answer, err := p.client.Call(p.ctx(), 2, request); err != nil || len(answer) != len(request) {
			t.Errorf("%s: %d bytes, %v", name, len(answer), err)
		}
	}
}

func TestConnectionsOfCallsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, dials := newPairInMemory(t, &fakeHandler{call: echoCall})
		call := func() {
			t.Helper()
			if _, err := p.client.Call(t.Context(), 2, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			call()
			time.Sleep(idleTime / 2)
		}
		if n := dials.Load(); n != int64(lanes)+1 {
			t.Errorf("%d connections were made", n)
		}
		// The server will soon end one that nobody uses.
		time.Sleep(idleTime + time.Second)
		call()
		if n := dials.Load(); n != int64(lanes)+2 {
			t.Errorf("%d connections were made", n)
		}
		time.Sleep(3 * idleTime)
		synctest.Wait()
		if n := len(p.client.nodes[2].calls.open); n != 0 {
			t.Errorf("%d connections are open that nobody uses", n)
		}
	})
}

func TestAHandlersErrorReachesTheCaller(t *testing.T) {
	p := newPair(t, &fakeHandler{call: func(context.Context, uint64, []byte) ([]byte, error) { return nil, errors.New("no such group") }}, nil, nil)
	for range 2 { // the connection goes on
		_, err := p.client.Call(p.ctx(), 2, []byte("x"))
		if err == nil || err.Error() != "no such group" || isNotSent(err) {
			t.Errorf("the caller is told %v", err)
		}
	}
}

func TestACallToNobodyIsNotSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	p := newCaller(t, nil)
	p.client.Know(2, "n2", l.Addr().String())
	cancelled, cancel := context.WithCancel(p.ctx())
	cancel()
	for name, call := range map[string]func() error{
		"nobody listens":      func() error { _, err := p.client.Call(p.ctx(), 2, []byte("x")); return err },
		"nobody is known":     func() error { _, err := p.client.Call(p.ctx(), 3, []byte("x")); return err },
		"the caller has gone": func() error { _, err := p.client.Call(cancelled, 2, []byte("x")); return err },
		"the request is too large": func() error {
			part := make([]byte, 32<<20)
			_, err := p.client.Call(p.ctx(), 2, part, part, part, part, part, part, part, part, []byte("x"))
			return err
		},
		"a state":    func() error { return p.client.SendState(p.ctx(), 2, nil) },
		"a greeting": func() error { _, err := p.client.Meet(p.ctx(), 2, nil); return err },
	} {
		if err := call(); !isNotSent(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARefusalReachesTheCaller(t *testing.T) {
	p := newPair(t, &fakeHandler{admit: func(from Identity, to uint64) error {
		if from != one || to != 2 {
			t.Errorf("%+v wants node %d", from, to)
		}
		return errors.New("you have another disk")
	}}, nil, nil)
	_, called := p.client.Call(p.ctx(), 2, []byte("x"))
	for what, err := range map[string]error{"a call": called, "a state": p.client.SendState(p.ctx(), 2, nil)} {
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Code != codeAdmission || refused.Detail != "you have another disk" {
			t.Errorf("%s: %v", what, err)
		}
	}
	waitFor(t, "the lanes' refusal is logged", func() bool { return p.clientLog.count("you have another disk") > 0 })
	if n := p.serverLog.count("level="); n > 0 { // whoever is refused says so himself
		t.Errorf("the server logs %d lines", n)
	}
}

func TestACancelledCallCancelsTheHandler(t *testing.T) {
	began, ended := make(chan bool), make(chan error)
	p := newPair(t, &fakeHandler{call: func(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
		began <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}, nil, nil)
	ctx, cancel := context.WithCancel(p.ctx())
	failed := make(chan error)
	go func() {
		_, err := p.client.Call(ctx, 2, []byte("x"))
		failed <- err
	}()
	get(t, "the handler", began)
	cancel()
	get(t, "the handler's context ends", ended)
	if err := get(t, "the call ends", failed); !errors.Is(err, context.Canceled) || isNotSent(err) {
		t.Errorf("the caller is told %v", err)
	}
}

func TestADeadlineEndsACall(t *testing.T) {
	p := newPair(t, &fakeHandler{call: func(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, nil, nil)
	ctx, cancel := context.WithTimeout(p.ctx(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.client.Call(ctx, 2, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller is told %v", err)
	}
}

// TestTheEndOfANodeEndsItsCalls: whether they were done is not known.
func TestTheEndOfANodeEndsItsCalls(t *testing.T) {
	began := make(chan bool)
	h := &fakeHandler{call: func(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
		began <- true
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	p := newPair(t, h, nil, nil)
	failed := make(chan error)
	go func() {
		_, err := p.client.Call(p.ctx(), 2, []byte("x"))
		failed <- err
	}()
	get(t, "the handler", began)
	p.server.Stop()
	if err := get(t, "the call ends", failed); err == nil || isNotSent(err) {
		t.Errorf("the caller is told %v", err)
	}
	// A call after that does not try the connections of before.
	waitFor(t, "the connections are gone", func() bool { return openCalls(p) == 0 })
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	h.call = echoCall
	p.serve(h, l, nil)
	if _, err := p.client.Call(p.ctx(), 2, []byte("x")); err != nil {
		t.Errorf("a call to the node that is back: %v", err)
	}
}

func openCalls(p *pair) int {
	p.client.mu.Lock()
	calls := p.client.nodes[2].calls
	p.client.mu.Unlock()
	calls.mu.Lock()
	defer calls.mu.Unlock()
	return len(calls.open)
}

func TestCallsAtWorkAreBounded(t *testing.T) {
	var working atomic.Int64
	p := newPair(t, &fakeHandler{call: func(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
		working.Add(1)
		<-ctx.Done()
		return nil, ctx.Err()
	}}, nil, nil)
	ctx, cancel := context.WithCancel(p.ctx())
	var callers sync.WaitGroup
	for range maxCalls {
		callers.Go(func() { _, _ = p.client.Call(ctx, 2, []byte("x")) })
	}
	waitFor(t, "all are at work", func() bool { return working.Load() == maxCalls })
	brief, end := context.WithTimeout(ctx, 20*time.Millisecond)
	defer end()
	if _, err := p.client.Call(brief, 2, []byte("x")); !isNotSent(err) {
		t.Errorf("one call more: %v", err)
	}
	if n := working.Load(); n != maxCalls {
		t.Errorf("%d calls are at work", n)
	}
	cancel()
	callers.Wait()
}

// TestAnAnswerToNoCallIsNotTaken: it could be taken for that to the next.
func TestAnAnswerToNoCallIsNotTaken(t *testing.T) {
	p := newCaller(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer raw.Close()
				c, g, err := admitByHand(raw)
				if err != nil || g.Purpose != forCalls {
					return
				}
				for {
					request, err := c.receive()
					if err != nil {
						return
					}
					c.out.add(request[:numberBytes], []byte{answerDone}, request[numberBytes:])
					c.out.add(request[:numberBytes], []byte{answerDone}, []byte("another"))
					if err := c.flush(); err != nil {
						return
					}
				}
			}()
		}
	}()
	p.client.Know(2, "n2", l.Addr().String())
	for n := range 20 {
		answer, err := p.client.Call(p.ctx(), 2, []byte(fmt.Sprint(n)))
		if err == nil && string(answer) != fmt.Sprint(n) {
			t.Fatalf("call %d is answered %q", n, answer)
		}
	}
	waitFor(t, "the connections are ended", func() bool { return openCalls(p) == 0 })
}

func TestMeetingIsOneQuestionAndOneAnswer(t *testing.T) {
	p := newPair(t, &fakeHandler{
		admit: func(Identity, uint64) error { return errors.New("not yet") },
		meet: func(from Identity, request []byte) ([]byte, error) {
			if string(request) == "bad" {
				return nil, errors.New("other members")
			}
			return append([]byte(from.Disk+" "), request...), nil
		},
	}, nil, nil)
	if answer, err := p.client.Meet(p.ctx(), 2, []byte("hello")); err != nil || string(answer) != "d1 hello" {
		t.Errorf("%q, %v", answer, err)
	}
	if _, err := p.client.Meet(p.ctx(), 2, []byte("bad")); err == nil || err.Error() != "other members" {
		t.Errorf("a refused meeting: %v", err)
	}
	if answer, err := p.client.Meet(p.ctx(), 2, make([]byte, maxGreetingBytes+1)); err == nil {
		t.Errorf("a stranger says %d bytes and is answered %d", maxGreetingBytes+1, len(answer))
	}
}
