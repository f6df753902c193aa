package drive

import (
	"context"
	"sync"
	"time"

	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/check/history"
)

const (
	// pulsePeriod is how often each node is asked whether it lives.
	pulsePeriod = 500 * time.Millisecond
	// pulseTimeout is short: an answer that was long on its way tells little.
	pulseTimeout = time.Second
)

// pulses records signs of life of all nodes until the returned function is called.
func (r *run) pulses() (stop func(), err error) {
	ctx, cancel := context.WithCancel(r.work)
	var listening sync.WaitGroup
	stop = func() {
		cancel()
		listening.Wait()
	}
	for _, endpoint := range r.Endpoints {
		conn, err := client.New(endpoint, r.Options...)
		if err != nil {
			return stop, err
		}
		listening.Go(func() {
			defer conn.Close() //nolint:errcheck // nothing is under way
			for ctx.Err() == nil {
				r.pulse(ctx, &node{endpoint, conn})
				pause(ctx, pulsePeriod)
			}
		})
	}
	return stop, nil
}

// pulse asks a node once. One that does not answer gives no sign, which is no error here.
func (r *run) pulse(ctx context.Context, n *node) {
	ctx, cancel := context.WithTimeout(ctx, pulseTimeout)
	defer cancel()
	sent := r.recorder.Now()
	status, err := n.conn.Status(ctx)
	if err != nil {
		return
	}
	if err := r.recorder.Pulse(&history.Pulse{Node: n.addr, SentNS: sent, UptimeMS: status.GetUptimeMs()}); err != nil {
		r.fail(err)
	}
}
