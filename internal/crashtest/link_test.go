package crashtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/internal/freeport"
)

// links are the ways between the nodes of a cluster: every node is told the others' addresses
// as those of proxies, which can lose what goes one way and not what goes the other. A proxy
// finds out who dials by the process that has the socket.
type links struct {
	t       *testing.T
	proxies []*proxy
	// pids of the nodes, 0 while one is down.
	pids [maxNodes]atomic.Int64
	// cut, slow and trickle are by sender and receiver.
	cut     [maxNodes][maxNodes]atomic.Bool
	slow    [maxNodes][maxNodes]atomic.Int64 // delay of each piece, in nanoseconds
	trickle [maxNodes][maxNodes]atomic.Bool  // pieces of a few bytes
}

// proxy stands before one node.
type proxy struct {
	links    *links
	node     int
	listener net.Listener
	target   string
	mu       sync.Mutex
	open     map[net.Conn]bool
	closed   bool
}

func newLinks(t *testing.T, nodes int) *links {
	t.Helper()
	l := &links{t: t}
	for node := range nodes {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := &proxy{links: l, node: node, listener: listener, target: freeport.Addr(t), open: make(map[net.Conn]bool)}
		l.proxies = append(l.proxies, p)
		go p.serve()
		t.Cleanup(p.close)
	}
	return l
}

func (p *proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	_ = p.listener.Close()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.carry(c)
	}
}

// carry connects a caller to the node for as long as neither ends.
func (p *proxy) carry(from net.Conn) {
	defer from.Close()
	who := p.links.whoHas(from.RemoteAddr())
	if who < 0 {
		return
	}
	to, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer to.Close()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.open[from], p.open[to] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, from)
		delete(p.open, to)
	}()
	ended := make(chan struct{}, 2)
	go func() { p.links.pump(from, to, who, p.node); ended <- struct{}{} }()
	go func() { p.links.pump(to, from, p.node, who); ended <- struct{}{} }()
	<-ended
}

// pump carries bytes one way. While the way is cut nothing passes, as when a cable is
// pulled: what was sent meanwhile arrives when it is plugged in again, if the ends still
// want it.
func (l *links) pump(from, to net.Conn, sender, receiver int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		for l.cut[sender][receiver].Load() {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Duration(l.slow[sender][receiver].Load()))
		for rest := buf[:n]; len(rest) > 0; {
			piece := rest
			if l.trickle[sender][receiver].Load() {
				piece = rest[:min(len(rest), trickleBytes)]
				time.Sleep(time.Millisecond)
			}
			if _, err := to.Write(piece); err != nil {
				return
			}
			rest = rest[len(piece):]
		}
	}
}

// trickleBytes is what passes in a millisecond of a way that trickles.
const trickleBytes = 48

// whoHas finds the node whose process has the socket of an address, -1 if none has.
func (l *links) whoHas(addr net.Addr) int {
	port := addr.(*net.TCPAddr).Port
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return -1
	}
	for line := range strings.SplitSeq(string(table), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 10 || !strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			continue
		}
		for node := range l.pids {
			if hasSocket(l.pids[node].Load(), "socket:["+fields[9]+"]") {
				return node
			}
		}
	}
	return -1
}

func hasSocket(pid int64, socket string) bool {
	if pid == 0 {
		return false
	}
	names, _ := filepath.Glob(filepath.Join("/proc", strconv.FormatInt(pid, 10), "fd", "*"))
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil && target == socket {
			return true
		}
	}
	return false
}

// heal lets everything pass.
func (l *links) heal() {
	for from := range maxNodes {
		for to := range maxNodes {
			l.cut[from][to].Store(false)
			l.slow[from][to].Store(0)
			l.trickle[from][to].Store(false)
		}
	}
}
