package group

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// imageRetry is the wait advised when an image has to be taken once more.
const imageRetry = 50 * time.Millisecond

// Image is this replica's state as of one log entry, to be walked while the group goes on. It
// is not safe for concurrent use and must be closed.
type Image struct {
	group *Group
	image store.Image
	taken store.Taken
	dir   string // of what Park wrote
	size  int64
}

// Image opens one. It may wait for a flush of the store, and holds up the next until Park or
// Close.
func (g *Group) Image() (*Image, error) {
	size := g.store.FlushBytes()
	image, err := g.store.Image()
	if err != nil {
		return nil, readError(err)
	}
	return &Image{group: g, image: image, size: size}, nil
}

// Take makes it the state of an instant during the call, with all that was acknowledged before
// the call.
func (i *Image) Take(ctx context.Context) error {
	if err := i.group.Current(ctx); err != nil {
		return err
	}
	need := i.group.applied.Load()
	taken, err := i.image.Take()
	if err != nil {
		return readError(err)
	}
	if taken.Meta.Index < need { // another state has taken the place of the image's
		return &sheaf.Error{Code: sheaf.StaleReplica, Detail: "the replica was sent another state meanwhile", RetryAfter: imageRetry}
	}
	i.taken = taken
	return nil
}

// Meta is that of the state.
func (i *Image) Meta() store.Meta { return i.taken.Meta }

// Attempts is how many attempts of batches over several groups have something prepared in it.
func (i *Image) Attempts() int { return i.taken.Attempts }

// Paused is the pause in it, if there is one, lasting or not.
func (i *Image) Paused() (wire.Paused, error) {
	pause, err := wire.DecodePaused(i.taken.Own[string(apply.PauseKey)])
	if err != nil {
		return pause, readError(fmt.Errorf("%w: the group's pause: %w", store.ErrCorrupt, err))
	}
	return pause, nil
}

// Park has the image written to the disk if it is in memory as a whole.
func (i *Image) Park() error {
	if free := i.group.cfg.Free(); free >= 0 && free < i.size {
		return &sheaf.Error{
			Code: sheaf.NoSpace, Err: syscall.ENOSPC,
			Detail: fmt.Sprintf("the copy of the state needs about %d MiB on this node's disk and %d are free", i.size>>20, free>>20),
		}
	}
	if i.group.cfg.Place != nil {
		i.dir = i.group.cfg.Place.ForCopy()
		if err := i.image.Park(i.dir); err != nil {
			return readError(err)
		}
	}
	return nil
}

// Walk visits all records once; see store.Image.
func (i *Image) Walk(visit func(space store.Space, key, value []byte) error) error {
	return i.image.Walk(visit)
}

// Close releases the image, and removes what Park wrote.
func (i *Image) Close() error {
	err := i.image.Close()
	if i.dir != "" {
		i.group.cfg.Place.Discard(nil, i.dir)
	}
	return readError(err)
}
