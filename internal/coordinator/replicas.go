package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// imageTries bounds the attempts to take images.
const imageTries = 10

// Images takes an image of every group at this node's replicas. They have all that was
// acknowledged before the call, and every batch over several groups whole or not at all. The
// caller closes them. Errors are *sheaf.Error.
func (c *Coordinator) Images(ctx context.Context) ([]*group.Image, error) {
	if err := c.cfg.Gate.Read(); err != nil {
		return nil, err
	}
	do := &driver{c: c, caller: ctx, callTime: callTime}
	var err error
	for turn := range imageTries {
		if turn > 0 {
			do.Wait(turn)
		}
		here := &replicas{c: c, ctx: ctx}
		if c.whole() != nil {
			if err = here.Open(); err == nil {
				_, err = here.Take()
			}
		} else {
			err = TakeImages(do, len(c.cfg.Groups), c.table.GroupOf, here)
		}
		if err == nil {
			return here.images, nil
		}
		here.close()
		if ctx.Err() != nil {
			return nil, &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err(), Detail: "the caller gave up before the copy of the groups began"}
		}
		if refused := failed(err).Refused; refused != nil {
			return nil, refused
		}
		if sheaf.CodeOf(err) == sheaf.NotLeader { // each of the groups had its time to find one
			return nil, sheaf.AsError(err)
		}
		c.cfg.Logger.Info("images of all groups were not taken yet", "turn", turn+1, "err", err)
	}
	return nil, &sheaf.Error{
		Code: sheaf.Contention, Err: err, RetryAfter: contentionRetry,
		Detail: fmt.Sprintf("in %d attempts there was no moment without a batch over several groups on its way", imageTries),
	}
}

// replicas are those of this node; see Here.
type replicas struct {
	c      *Coordinator
	ctx    context.Context
	images []*group.Image
}

// Attempts is part of Here.
func (r *replicas) Attempts() ([][]wire.Holder, error) {
	all := make([][]wire.Holder, len(r.c.cfg.Groups))
	return all, r.each(func(i int, g Group) (err error) {
		all[i], err = g.Attempts(r.ctx)
		return err
	})
}

// Open is part of Here.
func (r *replicas) Open() error {
	for _, g := range r.c.cfg.Groups {
		image, err := g.Image()
		if err != nil {
			return err
		}
		r.images = append(r.images, image)
	}
	return nil
}

// Take is part of Here.
func (r *replicas) Take() ([]Shown, error) {
	shown := make([]Shown, len(r.images))
	return shown, r.each(func(i int, _ Group) (err error) {
		image := r.images[i]
		if err := image.Take(r.ctx); err != nil {
			return err
		}
		shown[i].Attempts = image.Attempts()
		shown[i].Paused, err = image.Paused()
		return err
	})
}

// close lets go of images that are of no use.
func (r *replicas) close() {
	for _, image := range r.images {
		_ = image.Close() // why there are none is what counts
	}
}

// each does something for every group, side by side.
func (r *replicas) each(do func(i int, g Group) error) error {
	errs := make(chan error, len(r.c.cfg.Groups))
	for i, g := range r.c.cfg.Groups {
		go func() { errs <- do(i, g) }()
	}
	var all []error
	for range r.c.cfg.Groups {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}
