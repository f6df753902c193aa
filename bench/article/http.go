package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf/bench/measure"
)

const aboutHTTP = `A handler of net/http answers with ten entries of 128 bytes, as JSON, to four callers on
connections that stay open, over loopback; callers and server share the machine.
"Handler" is the handler alone, called without a socket. The first rows have their
entries at hand and only encode them; Sheaf's parse the request, check it, and read the
entries from the store. Its GET answers with one value of 128 bytes and no JSON.`

const (
	httpCallers = 4
	httpEntries = 10
	// maxCallMicros bounds what the histograms can hold.
	maxCallMicros = 10_000_000
)

// service is one handler and the request it is sent.
type service struct {
	name    string
	handler http.Handler
	method  string
	path    string
	body    string
}

func runHTTP(ctx context.Context, p plan, done func(*table) error) (err error) {
	node, err := startNode()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.stop()) }()
	services, err := jsonServices(node)
	if err != nil {
		return err
	}
	t := &table{
		Title:    fmt.Sprintf("%d entries an answer, %d callers", httpEntries, httpCallers),
		Baseline: services[0].name, note: noteHTTP,
		Columns: []column{
			{"p50 µs", 0},
			{"p99 µs", 0},
			{"requests/s", 0},
			{"CPU µs, both sides", 0},
			{"handler µs", 2},
			{"handler allocations", 0},
			{"handler bytes", 0},
		},
	}
	var contestants []contestant
	for _, s := range services {
		contestants = append(contestants, contestant{s.name, func() ([]float64, error) { return s.turn(p.Sizes) }})
	}
	if err := t.contest(ctx, p.Rounds, contestants); err != nil {
		return err
	}
	return done(t)
}

func noteHTTP(t *table) string {
	return fmt.Sprintf("A struct in place of maps makes a call %.2f times as fast by its median, and not encoding at all %.2f times: "+
		"beyond maps there is little to win, because the rest of a call is sockets and net/http. "+
		"The 99th percentile is that of four callers on a machine that they share with the server.",
		t.ratio("a struct, json.Marshal"), t.ratio("encoded once, before"))
}

// turn serves callers for a while and then calls the handler alone.
func (s *service) turn(sizes sizes) ([]float64, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	times, used, err := s.calls(listener.Addr().String(), sizes.HTTPTurn)
	if closeErr := errors.Join(server.Close(), notClosed(<-served)); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	alone, err := s.alone(sizes.HTTPCalls)
	if err != nil {
		return nil, err
	}
	calls, n := float64(times.TotalCount()), float64(sizes.HTTPCalls)
	return []float64{
		float64(times.ValueAtQuantile(50)),
		float64(times.ValueAtQuantile(99)),
		calls / used.Wall.Seconds(),
		used.CPU.Seconds() * 1e6 / calls,
		alone.Wall.Seconds() * 1e6 / n,
		float64(alone.Allocations) / n,
		float64(alone.Bytes) / n,
	}, nil
}

func notClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// calls has every caller call until the time is over.
func (s *service) calls(addr string, during time.Duration) (*hdrhistogram.Histogram, measure.Usage, error) {
	all := hdrhistogram.New(1, maxCallMicros, 3)
	times := make([]*hdrhistogram.Histogram, httpCallers)
	errs := make([]error, httpCallers)
	used, err := measure.During(func() error {
		end := time.Now().Add(during)
		var wg sync.WaitGroup
		for i := range httpCallers {
			times[i] = hdrhistogram.New(1, maxCallMicros, 3)
			wg.Go(func() { errs[i] = s.caller(addr, end, times[i]) })
		}
		wg.Wait()
		return errors.Join(errs...)
	})
	for _, t := range times {
		all.Merge(t)
	}
	return all, used, err
}

// caller calls over one connection, with bytes that are made once: a client costs
// as little as it can, because it shares the processors.
func (s *service) caller(addr string, end time.Time, times *hdrhistogram.Histogram) (err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	request := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		s.method, s.path, len(s.body), s.body)
	reader := bufio.NewReaderSize(conn, 16<<10)
	for {
		begin := time.Now()
		if begin.After(end) {
			return nil
		}
		if _, err := conn.Write(request); err != nil {
			return err
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s %s answered %s", s.method, s.path, answer.Status)
		}
		if err := times.RecordValue(min(time.Since(begin).Microseconds(), maxCallMicros)); err != nil {
			return err
		}
	}
}
