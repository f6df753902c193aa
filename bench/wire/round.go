package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// sample is what one round found, in its timed part.
type sample struct {
	KeysPerSecond   float64 `json:"keys_per_second"`
	P50MS           float64 `json:"p50_ms"`
	P99MS           float64 `json:"p99_ms"`
	ServerCPUPerKey float64 `json:"server_cpu_us_per_key"`
	ClientCPUPerKey float64 `json:"client_cpu_us_per_key"`
	// What a call allocates on the server; see meters.
	ObjectsPerCall float64 `json:"objects_per_call"`
	TinyPerCall    float64 `json:"tiny_per_call"`
	BytesPerCall   float64 `json:"bytes_per_call"`
	Calls          int     `json:"calls"`
}

const (
	// callTimeout is the public client's default.
	callTimeout = 30 * time.Second
	// maxCallMicros bounds what the histograms can hold.
	maxCallMicros = 60_000_000
)

// round gives the contestant its turn. All callers are at rest when the meters
// are read, so what they show was used for the calls between the readings.
func (c *child) round(ctx context.Context, requests []encoded, callers int, p plan) (sample, error) {
	if _, err := drive(ctx, c.conn, requests, callers, p.WarmUp); err != nil {
		return sample{}, err
	}
	before, err := c.used(ctx)
	if err != nil {
		return sample{}, err
	}
	own, err := readMeters()
	if err != nil {
		return sample{}, err
	}
	begin := time.Now()
	times, err := drive(ctx, c.conn, requests, callers, p.Timed)
	took := time.Since(begin)
	if err != nil {
		return sample{}, err
	}
	ownAfter, err := readMeters()
	if err != nil {
		return sample{}, err
	}
	after, err := c.used(ctx)
	if err != nil {
		return sample{}, err
	}
	return newSample(times, took, after.since(before), ownAfter.since(own)), nil
}

// newSample reduces what one timed part used. Every call that was begun has
// ended, so there is at least one.
func newSample(times *hdrhistogram.Histogram, took time.Duration, server, client meters) sample {
	calls := float64(times.TotalCount())
	keys := calls * batchEntries
	return sample{
		KeysPerSecond:   keys / took.Seconds(),
		P50MS:           float64(times.ValueAtQuantile(50)) / 1000,
		P99MS:           float64(times.ValueAtQuantile(99)) / 1000,
		ServerCPUPerKey: server.CPU.Seconds() * 1e6 / keys,
		ClientCPUPerKey: client.CPU.Seconds() * 1e6 / keys,
		ObjectsPerCall:  float64(server.Objects) / calls,
		TinyPerCall:     float64(server.Tiny) / calls,
		BytesPerCall:    float64(server.Bytes) / calls,
		Calls:           int(calls),
	}
}

// drive lets callers send requests, one after the other, for a time, and returns
// how long each call took, in microseconds. The first error ends them all.
func drive(ctx context.Context, conn *grpc.ClientConn, requests []encoded, callers int, length time.Duration) (*hdrhistogram.Histogram, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	end := time.Now().Add(length)
	times := make([]*hdrhistogram.Histogram, callers)
	var wg sync.WaitGroup
	for i := range times {
		times[i] = hdrhistogram.New(1, maxCallMicros, 3)
		wg.Go(func() {
			for n := i * len(requests) / callers; ; n++ {
				begin := time.Now()
				if err := send(ctx, conn, requests[n%len(requests)]); err != nil {
					cancel(err)
					return
				}
				now := time.Now()
				_ = times[i].RecordValue(min(max(now.Sub(begin).Microseconds(), 1), maxCallMicros))
				if now.After(end) {
					return
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for _, more := range times[1:] {
		times[0].Merge(more)
	}
	return times[0], nil
}

// send is one call, with the metadata and the deadline of the public client's.
func send(ctx context.Context, conn *grpc.ClientConn, request encoded) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "sheaf-batch-bytes", strconv.Itoa(len(request)))
	var answer sheafv1.PutAllResponse
	return conn.Invoke(ctx, sheafv1.KVService_PutAll_FullMethodName, request, &answer)
}
