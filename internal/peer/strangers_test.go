package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestStrangersAreTurnedAway: nothing that they say reaches the handler, ends the node, or
// costs much.
func TestStrangersAreTurnedAway(t *testing.T) {
	good := greetingOf(one, 2, forUrgent)
	with := func(change func(g *greeting)) []byte {
		g := good
		change(&g)
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		return frameOf(text)
	}
	oversized := binary.LittleEndian.AppendUint32(nil, 1<<30)
	broken := with(func(*greeting) {})
	broken[len(broken)-1] ^= 1
	h := &fakeHandler{admit: func(from Identity, _ uint64) error {
		t.Errorf("%+v got as far as to be admitted", from)
		return errors.New("no")
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newCaller(t, nil) // who calls nobody
	p.addr = l.Addr().String()
	p.serve(h, l, nil)
	for _, test := range []struct {
		name    string
		say     []byte
		answers bool
	}{
		{"nothing", nil, false},
		{"half a header", []byte{1, 0, 0}, false},
		{"a large length", append(oversized, make([]byte, 13)...), false},
		{"zeros", make([]byte, 1000), false},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), false},
		{"HTTP/2", []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), false},
		{"TLS", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), false},
		{"noise", randomBytes(10_000), false},
		{"a damaged greeting", broken, false},
		{"half a greeting", with(func(*greeting) {})[:50], false},
		{"a long greeting", with(func(g *greeting) { g.Name = strings.Repeat("n", maxGreetingBytes) }), false},
		{"no JSON", frameOf([]byte("hello")), true},
		{"an empty frame", frameOf(), true},
		{"another version", with(func(g *greeting) { g.Protocol = "sheaf-peer/9" }), true},
		{"no number", with(func(g *greeting) { g.ID = 0 }), true},
		{"no disk", with(func(g *greeting) { g.Disk = "" }), true},
		{"another purpose", with(func(g *greeting) { g.Purpose = "steal" }), true},
	} {
		var raw net.Conn
		bytes := allocated(func() {
			var err error
			if raw, err = net.Dial("tcp", p.addr); err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			if _, err := raw.Write(test.say); err != nil {
				t.Fatal(err)
			}
			_ = raw.(*net.TCPConn).CloseWrite()
			_ = raw.SetReadDeadline(time.Now().Add(patienceOfTests))
			c := newConn(raw, raw)
			data, err := c.frames.read()
			var refused *RefusedError
			switch {
			case late(err):
				t.Errorf("%s: he is not turned away", test.name)
			case (err == nil) != test.answers:
				t.Errorf("%s: the answer is %q, %v", test.name, data, err)
			case err == nil && (!errors.As(parseVerdict(data), &refused) || refused.Code != codeGreeting):
				t.Errorf("%s: the answer is %q", test.name, data)
			}
		})
		if bytes > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", test.name, bytes)
		}
	}
	if n := p.serverLog.count("turned away"); n != 1 { // and not a line for each
		t.Errorf("the server says %d times that strangers were turned away", n)
	}
}

// TestASlowGreetingIsCut: whether nothing comes or now and then a byte.
func TestASlowGreetingIsCut(t *testing.T) {
	for _, what := range []string{"nothing", "a byte a second", "a meeting without a question"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				p := newCaller(t, nil)
				p.serve(&fakeHandler{}, l, nil)
				raw, err := l.connect(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer raw.Close()
				began := time.Now()
				switch what {
				case "a byte a second":
					var writer sync.WaitGroup
					defer writer.Wait()
					writer.Go(func() {
						for _, b := range bytes.Repeat([]byte{1}, 100) {
							if _, err := raw.Write([]byte{b}); err != nil {
								return
							}
							time.Sleep(time.Second)
						}
					})
				case "a meeting without a question":
					text, err := json.Marshal(greetingOf(one, 2, forMeet))
					if err != nil {
						t.Fatal(err)
					}
					c := newConn(raw, raw)
					if err := c.send(text); err != nil {
						t.Fatal(err)
					}
					if verdict, err := c.frames.read(); err != nil || len(verdict) > 0 {
						t.Fatalf("%q, %v", verdict, err)
					}
				}
				if n, err := raw.Read(make([]byte, 1)); n > 0 || err == nil {
					t.Errorf("%d bytes, %v", n, err)
				}
				if took := time.Since(began); took != greetTime {
					t.Errorf("he was cut after %v", took)
				}
			})
		})
	}
}

// TestStrangersAreFew: those beyond the bound wait, and a node that comes after them is
// heard when they have been cut.
func TestStrangersAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l, _ := newPairInMemory(t, &fakeHandler{call: echoCall})
		synctest.Wait() // the lanes are open
		for range maxStrangers {
			raw, err := l.connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
		}
		synctest.Wait()
		if n := len(p.server.strangers); n != maxStrangers {
			t.Errorf("%d strangers are let in", n)
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.connect(brief); err == nil {
			t.Error("one stranger more is accepted")
		}
		if _, err := p.client.Call(t.Context(), 2, []byte("x")); err != nil {
			t.Errorf("a node's call after %d strangers: %v", maxStrangers, err)
		}
	})
}
