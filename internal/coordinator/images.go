package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Images of all groups have every batch over several groups whole or not at all, although no
// two are of the same instant. What is done, in this order:
//
//	Pause     in every group: from its log entry on no new attempt takes keys there
//	outlast   what is in the groups already comes to its end
//	Take      every group's image, here; none has an attempt in it
//	Resume    in every group, whose answer says that the pause has lasted until then
//
// Why that is enough. An attempt was prepared in each of its groups before it was decided, and
// decided before any of its values was there. Take a batch of which one image has a value: it
// was decided before that image was taken, so before the first Resume was sent, and so it was
// prepared everywhere before. In no group was that while the group was paused, nor after its
// Resume: it was before its Pause, so it is in that group's log before the image, and as
// the image has no attempt, it is resolved there: with its values, because that it was
// committed does not change.
//
// That the pause lasts in each image by itself would not be enough. Groups have clocks of
// their own: one group's pause could end while another's image is yet to be taken, and an
// attempt that was prepared in the other before would be prepared in the first, decided, and
// resolved in the other just before its image.
const (
	// pauseTime is how long new batches over several groups wait if nobody ends the pause.
	pauseTime = 2 * time.Second
	// leftTime is how long attempts are waited for that were there before the pause: those of
	// coordinators that died end with their deadline.
	leftTime = 20 * time.Second
	// imageTries bounds the attempts to take images.
	imageTries = 10
)

// Images takes an image of every group at this node's replicas. They have all that was
// acknowledged before the call, and every batch over several groups whole or not at all. The
// caller closes them. Errors are *sheaf.Error.
func (c *Coordinator) Images(ctx context.Context) ([]*group.Image, error) {
	if err := c.cfg.Gate.Read(); err != nil {
		return nil, err
	}
	if g := c.whole(); g != nil {
		return c.tryImages(func(images []*group.Image) error { return images[0].Take(ctx) })
	}
	do := &driver{c: c, caller: ctx, callTime: callTime}
	var err error
	for turn := range imageTries {
		if turn > 0 {
			do.Wait(turn)
		}
		var images []*group.Image
		if err = c.each(func(id uint64) error { return c.outlast(ctx, id, leftTime) }); err == nil {
			images, err = c.tryImages(func(images []*group.Image) error { return c.takeAll(ctx, do, images) })
		}
		switch {
		case err == nil:
			return images, nil
		case ctx.Err() != nil:
			return nil, &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err(), Detail: "the caller gave up before the copy of the groups began"}
		}
		if refused := failed(err).Refused; refused != nil {
			return nil, refused
		}
		c.cfg.Logger.Info("images of all groups were not taken yet", "turn", turn+1, "err", err)
	}
	return nil, &sheaf.Error{
		Code: sheaf.Contention, Err: err, RetryAfter: contentionRetry,
		Detail: fmt.Sprintf("in %d attempts there was no moment without a batch over several groups on its way", imageTries),
	}
}

// tryImages opens an image of every group and has them taken.
func (c *Coordinator) tryImages(take func([]*group.Image) error) (images []*group.Image, err error) {
	for _, g := range c.cfg.Groups {
		image, openErr := g.Image()
		if err = openErr; err != nil {
			break
		}
		images = append(images, image)
	}
	if err == nil {
		err = take(images)
	}
	if err != nil {
		for _, image := range images {
			_ = image.Close() // why there is none is what counts
		}
		return nil, err
	}
	return images, nil
}

// each does something for every group, side by side.
func (c *Coordinator) each(do func(id uint64) error) error {
	errs := make(chan error, len(c.cfg.Groups))
	for i := range c.cfg.Groups {
		go func() { errs <- do(uint64(i + 1)) }()
	}
	var all []error
	for range c.cfg.Groups {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// takeAll takes the images under a pause of all groups. The pause is ended whatever came of
// it, also when the caller has given up.
func (c *Coordinator) takeAll(ctx context.Context, do *driver, images []*group.Image) error {
	name := fmt.Sprintf("pause-%016x", do.Random())
	began, err := c.pause(do, name)
	if err == nil {
		err = c.each(func(id uint64) error {
			if err := c.outlast(ctx, id, pauseTime); err != nil {
				return err
			}
			image := images[id-1]
			if err := image.Take(ctx); err != nil {
				return err
			}
			return shows(image, name, began[id-1])
		})
	}
	if ended := c.resume(do, name, began); err == nil {
		err = ended
	}
	return err
}

// shows says whether an image is of a time when its group was paused, without an attempt.
func shows(image *group.Image, name string, began uint64) error {
	pause, err := image.Paused()
	switch {
	case err != nil:
		return err
	case pause.ID != name || pause.Began != began:
		return errors.New("the pause was over before the image was taken")
	case image.Attempts() > 0:
		return errors.New("the image has batches on their way")
	}
	return nil
}

// pause pauses all groups and returns at which log entry each pause began; 0 where that is not
// known.
func (c *Coordinator) pause(do *driver, name string) (began []uint64, err error) {
	command := wire.Command{Kind: wire.Pause, RequestID: name, DeadlineMS: uint64(pauseTime.Milliseconds())}
	calls := make([]Call, len(c.cfg.Groups))
	for i := range calls {
		calls[i] = Call{Group: uint64(i + 1), Command: &command}
	}
	began = make([]uint64, len(calls))
	for i, reply := range do.Call(calls) {
		switch {
		case reply.Refused != nil:
			err = reply.Refused
		case reply.Silent:
			err = fmt.Errorf("group %d did not answer in time", i+1)
		case reply.Result.Outcome != apply.Ready:
			err = fmt.Errorf("group %d is paused for another copy", i+1)
		default:
			began[i] = reply.Result.Version
		}
	}
	return began, err
}

// resume ends the pauses, and returns an error unless all have lasted until now.
func (c *Coordinator) resume(do *driver, name string, began []uint64) (err error) {
	calls := make([]Call, len(c.cfg.Groups))
	for i := range calls {
		calls[i] = Call{Group: uint64(i + 1), Command: &wire.Command{Kind: wire.Resume, RequestID: name, Version: began[i]}}
	}
	for i, reply := range do.Call(calls) {
		if !reply.answer() || reply.Result.Outcome != apply.Ready {
			err = fmt.Errorf("the pause of group %d did not last until all images were taken", i+1)
		}
	}
	return err
}

// outlast returns when none of the attempts is there any more that are in a group now.
func (c *Coordinator) outlast(ctx context.Context, id uint64, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	do := &driver{c: c, caller: ctx, callTime: callTime}
	pending, err := c.group(id).Attempts(ctx)
	for turn := 0; err == nil && len(pending) > 0; turn++ {
		if do.Over() {
			return fmt.Errorf("%d batches over several groups are still on their way in group %d", len(pending), id)
		}
		if turn > 0 { // most come to their end by themselves, at once
			for _, attempt := range pending[:min(len(pending), MaxTidy)] {
				Help(do, c.table.GroupOf, attempt, []uint64{id})
			}
		}
		do.Wait(turn)
		var still []wire.Holder
		still, err = c.group(id).Attempts(ctx)
		pending = those(pending, still)
	}
	return err
}
