//go:build unix

package peer

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"syscall"
	"testing"
)

// cpuTime is what the process has used so far, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// meter reports what an operation costs of the processors, at both ends together: on a
// machine that others use too it says more than the time.
func meter(b *testing.B, bytes int, run func()) {
	b.Helper()
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	before := cpuTime(b)
	run()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// echo answers calls with the request, and frames with what frame does.
type echo struct{ frame func(frame []byte) }

func (e echo) Admit(Identity, uint64) error { return nil }

func (e echo) Frame(_ uint64, frame []byte) { e.frame(frame) }

func (e echo) Call(_ context.Context, _ uint64, request []byte) ([]byte, error) { return request, nil }

func (e echo) State(context.Context, uint64, func() ([]byte, error)) error { return nil }

func (e echo) Meet(Identity, []byte) ([]byte, error) { return nil, nil }

// benchPair returns the clients of two nodes that know each other.
func benchPair(b *testing.B, one, other func(frame []byte)) (*Client, *Client) {
	b.Helper()
	var clients [2]*Client
	var addrs [2]string
	for i, frame := range []func([]byte){one, other} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		addrs[i] = l.Addr().String()
		s := NewServer(echo{frame}, nil, slog.New(slog.DiscardHandler))
		go func() { _ = s.Serve(l) }()
		b.Cleanup(s.Stop)
		self := Identity{Cluster: "c", ID: uint64(i + 1), Name: fmt.Sprint("n", i+1), Disk: "d"}
		clients[i] = NewClient(func() Identity { return self }, nil, func(uint64) {}, slog.New(slog.DiscardHandler))
		b.Cleanup(clients[i].Close)
	}
	clients[0].Know(2, "n2", addrs[1])
	clients[1].Know(1, "n1", addrs[0])
	return clients[0], clients[1]
}

func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 16} {
		for _, size := range []int{200, 160_000} {
			b.Run(fmt.Sprintf("callers=%d/bytes=%d", callers, size), func(b *testing.B) {
				client, _ := benchPair(b, nil, nil)
				request := make([]byte, size)
				call := func() {
					if answer, err := client.Call(context.Background(), 2, request); err != nil || len(answer) != size {
						b.Errorf("%d bytes, %v", len(answer), err)
					}
				}
				if callers == 1 {
					meter(b, size, func() {
						for b.Loop() {
							call()
						}
					})
					return
				}
				b.SetParallelism(callers / runtime.GOMAXPROCS(0))
				meter(b, size, func() {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							call()
						}
					})
				})
			})
		}
	}
}

// BenchmarkUrgentRoundTrip is what a round of raft's small messages costs: a frame one way,
// and one back.
func BenchmarkUrgentRoundTrip(b *testing.B) {
	var client, back *Client
	arrived := make(chan struct{}, 1)
	client, back = benchPair(b,
		func([]byte) { arrived <- struct{}{} },
		func(frame []byte) { back.Send(1, Urgent, [][]byte{frame}) })
	frame := [][]byte{make([]byte, 60)}
	meter(b, 60, func() {
		for b.Loop() {
			client.Send(2, Urgent, frame)
			<-arrived
		}
	})
}

// BenchmarkBulk is log entries one way, four on their way at a time.
func BenchmarkBulk(b *testing.B) {
	for _, size := range []int{1_000, 160_000, 4 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			arrived := make(chan struct{}, 4)
			client, _ := benchPair(b, nil, func([]byte) { arrived <- struct{}{} })
			frame := [][]byte{make([]byte, size)}
			for range cap(arrived) - 1 {
				client.Send(2, Bulk, frame)
			}
			meter(b, size, func() {
				for b.Loop() {
					client.Send(2, Bulk, frame)
					<-arrived
				}
			})
		})
	}
}
