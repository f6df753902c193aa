package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Stop drains the node: it refuses new requests, finishes those at work, makes
// everything durable and releases the data directory. It waits for requests at
// most as long as DrainTimeout and ctx allow.
func (n *Node) Stop(ctx context.Context) error {
	n.stopOnce.Do(func() { n.stopErr = n.stop(ctx) })
	return n.stopErr
}

func (n *Node) stop(ctx context.Context) error {
	n.setState(stateDraining)
	n.rpc.Drain()
	n.gate.Drain()
	n.endWatches()
	ctx, cancel := context.WithTimeout(ctx, n.cfg.DrainTimeout)
	defer cancel()
	n.drainFaces(ctx)
	n.core.Close(ctx)
	n.end()
	n.watching.Wait()
	if err := n.stopGroups(); err != nil {
		return err // the process is about to end, and with it everything that is open
	}
	if n.Err() != nil {
		return errors.Join(n.failure, n.release())
	}
	var errs []error
	for _, h := range n.hosted {
		durable, err := h.place.current().Flush()
		if err == nil {
			err = n.log.Cut(h.id, durable)
		}
		errs = append(errs, err)
	}
	return errors.Join(errors.Join(errs...), n.release())
}

// stopGroups has others lead, and waits for what is in the log to be applied, as long again
// as for requests. A store that waits for a full disk would keep the node from ending.
func (n *Node) stopGroups() error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		var stopping sync.WaitGroup
		defer stopping.Wait()
		for _, h := range n.hosted {
			stopping.Go(func() {
				h.group.HandOver()
				h.group.Stop()
			})
		}
	}()
	select {
	case <-stopped:
		return nil
	case <-time.After(n.cfg.DrainTimeout):
		return errors.New("stop: the store still waits for the disk; what was acknowledged is in the log, and is applied at the next start")
	}
}

// release closes whatever is open. It is also the way out of a failed start.
func (n *Node) release() error {
	var errs []error
	n.end()
	n.ports.close()
	if n.rpc != nil {
		n.rpc.Stop()
	}
	for _, server := range []*http.Server{n.web, n.admin} {
		if server == nil {
			continue
		}
		if err := server.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if n.bridge != nil {
		n.bridge.Close()
	}
	n.serving.Wait()
	if n.disk != nil {
		n.disk.stop()
	}
	if n.journal != nil {
		n.journal.Close()
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	for _, h := range n.hosted {
		errs = append(errs, h.place.close())
	}
	if n.feed != nil {
		n.feed.Free()
	}
	if n.dir != nil {
		errs = append(errs, n.dir.close())
	}
	return errors.Join(errs...)
}
