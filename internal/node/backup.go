package node

import (
	"context"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/backup"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/store"
)

const (
	// backupRate bounds what a backup takes of the disk and the network, in bytes a second.
	backupRate = 128 << 20
	// pieceBytes is the most that is sent at a time.
	pieceBytes = 256 << 10
)

// Backup sends a copy of all groups in pieces, from this node's replicas. send keeps no piece.
// Its errors are returned as they are, all others are *sheaf.Error.
func (n *Node) Backup(ctx context.Context, send func(piece []byte) error) error {
	switch state := *n.state.Load(); state {
	case stateServing, stateNoSpace, stateDamaged:
	default:
		return &sheaf.Error{Code: sheaf.Draining, Detail: "this node makes no backup: its state is " + state}
	}
	if !n.backingUp.CompareAndSwap(false, true) {
		return &sheaf.Error{
			Code: sheaf.RateLimited, RetryAfter: time.Second,
			Detail: "a backup is being made of this node, and it makes one at a time: wait for that one, or ask another node",
		}
	}
	defer n.backingUp.Store(false)
	began := time.Now()
	images, err := n.core.Images(ctx)
	if err != nil {
		return err
	}
	defer func() {
		for _, image := range images {
			if image == nil {
				continue // its section is written
			}
			if err := image.Close(); err != nil {
				n.opts.Logger.Error("close the image of a backup", "err", err)
			}
		}
	}()
	n.opts.Logger.Info("backup began", "groups", len(images), "took_ms", time.Since(began).Milliseconds())
	for _, image := range images { // all before the first is sent: who receives may be slow
		if err := image.Park(); err != nil {
			return err
		}
	}
	out := &pieces{node: n, ctx: ctx, send: send, began: time.Now()}
	if err := n.writeBackup(out, began, images); err != nil {
		n.opts.Logger.Warn("backup was not finished", "bytes", out.sent, "err", err)
		return err
	}
	n.opts.Logger.Info("backup made", "bytes", out.sent, "took_ms", time.Since(began).Milliseconds())
	return nil
}

func (n *Node) writeBackup(out *pieces, began time.Time, images []*group.Image) error {
	w, err := backup.New(out, backup.Header{
		Cluster: n.dir.identity.Cluster, Node: n.name(), Groups: len(images),
		Began: began.UTC(), Version: n.opts.Version, Store: n.cfg.Store,
	})
	if err != nil {
		return err
	}
	for i, image := range images {
		if err := w.Begin(image.Meta()); err != nil {
			return err
		}
		records := 0
		err := image.Walk(func(space store.Space, key, value []byte) error {
			if records++; records%1024 == 0 {
				if err := out.over(); err != nil {
					return err
				}
			}
			return w.Add(space, key, value)
		})
		if err != nil {
			return err
		}
		if _, err := w.End(); err != nil {
			return err
		}
		images[i] = nil
		if err := image.Close(); err != nil { // what it keeps is not needed any more
			return err
		}
	}
	return w.Close()
}

// pieces cuts what is written to it into pieces and sends them, no faster than backupRate.
type pieces struct {
	node  *Node
	ctx   context.Context
	send  func(piece []byte) error
	began time.Time
	sent  int64
}

// over says why the backup should not go on.
func (p *pieces) over() error {
	if err := p.ctx.Err(); err != nil {
		return &sheaf.Error{Code: sheaf.NotProposed, Err: err, Detail: "the caller gave up during the backup"}
	}
	return p.node.gate.Read()
}

// Write implements io.Writer.
func (p *pieces) Write(data []byte) (int, error) {
	for rest := data; len(rest) > 0; {
		if err := p.over(); err != nil {
			return len(data) - len(rest), err
		}
		piece := rest[:min(len(rest), pieceBytes)]
		if err := p.send(piece); err != nil {
			return len(data) - len(rest), err
		}
		rest = rest[len(piece):]
		p.sent += int64(len(piece))
		p.pace()
	}
	return len(data), nil
}

// pace waits until the rate allows the next piece.
func (p *pieces) pace() {
	wait := time.Until(p.began.Add(time.Duration(float64(p.sent) / backupRate * float64(time.Second))))
	if wait < time.Millisecond {
		return
	}
	select {
	case <-time.After(wait):
	case <-p.ctx.Done():
	}
}
