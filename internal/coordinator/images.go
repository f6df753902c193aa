package coordinator

import (
	"errors"
	"fmt"
	"time"

	"github.com/sheafdb/sheaf/internal/apply"
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
// Images that each show a pause and no attempts prove nothing by themselves. Groups have clocks
// of their own: one group's pause could end while another's image is yet to be taken, and then
// a batch be prepared, decided and resolved between the two.
const (
	// pauseTime is how long new batches over several groups wait if nobody ends the pause.
	pauseTime = 2 * time.Second
	// leftTime is how long attempts are waited for that were there before the pause: those of
	// coordinators that died end with their deadline.
	leftTime = 20 * time.Second
)

// Here are the replicas of all groups on one node, as TakeImages sees them: group n is at n-1.
type Here interface {
	// Attempts returns the attempts that have prepared something in each group's newest
	// state.
	Attempts() ([][]wire.Holder, error)
	// Open makes ready to take images, which may take long.
	Open() error
	// Take takes an image of every group. It has all that was acknowledged in that group
	// before the call.
	Take() ([]Shown, error)
}

// Shown is what an image shows of batches over several groups.
type Shown struct {
	// Paused is the pause in the state, lasting or not.
	Paused wire.Paused
	// Attempts is how many have prepared something.
	Attempts int
}

// TakeImages has images taken, in which every batch over several groups is whole or not at
// all. After an error they are of no use, but another try may succeed. A pause is ended whatever
// came of it, also when nobody waits any more.
func TakeImages(do Carrier, groups int, groupOf func(key []byte) uint64, here Here) error {
	if err := outlast(do, groupOf, here, leftTime); err != nil {
		return err
	}
	if err := here.Open(); err != nil {
		return err
	}
	name := fmt.Sprintf("pause-%016x", do.Random())
	began, err := pause(do, groups, name)
	if err == nil {
		err = outlast(do, groupOf, here, pauseTime)
	}
	if err == nil {
		err = takePaused(here, name, began)
	}
	if ended := resume(do, name, began); err == nil {
		err = ended
	}
	return err
}

// takePaused takes images of a time when the groups were paused, without attempts.
func takePaused(here Here, name string, began []uint64) error {
	shown, err := here.Take()
	if err != nil {
		return err
	}
	for i, image := range shown {
		if image.Paused.ID != name || image.Paused.Began != began[i] {
			return fmt.Errorf("the pause of group %d was over before its image was taken", i+1)
		}
		if image.Attempts > 0 {
			return fmt.Errorf("the image of group %d has batches on their way", i+1)
		}
	}
	return nil
}

// pause pauses all groups and returns at which log entry each pause began; 0 where that is not
// known.
func pause(do Carrier, groups int, name string) (began []uint64, err error) {
	command := wire.Command{Kind: wire.Pause, RequestID: name, DeadlineMS: uint64(pauseTime.Milliseconds())}
	calls := make([]Call, groups)
	for i := range calls {
		calls[i] = Call{Group: uint64(i + 1), Command: &command}
	}
	began = make([]uint64, groups)
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
func resume(do Carrier, name string, began []uint64) (err error) {
	calls := make([]Call, len(began))
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

// errBusy: attempts are in the groups that do not end.
var errBusy = errors.New("batches over several groups are still on their way")

// outlast returns when none of the attempts is there any more that are in the groups now.
func outlast(do Carrier, groupOf func(key []byte) uint64, here Here, patience time.Duration) error {
	end := do.Now().Add(patience)
	pending, err := here.Attempts()
	for turn := 0; err == nil && left(pending); turn++ {
		if do.Over() || do.Now().After(end) {
			return errBusy
		}
		if turn > 0 { // most come to their end by themselves, at once
			helpLeft(do, groupOf, pending)
		}
		do.Wait(turn)
		var still [][]wire.Holder
		if still, err = here.Attempts(); err != nil {
			return err
		}
		for i := range pending {
			pending[i] = those(pending[i], still[i])
		}
	}
	return err
}

// helpLeft asks what became of attempts, of each group's so many at a time.
func helpLeft(do Carrier, groupOf func(key []byte) uint64, pending [][]wire.Holder) {
	var met []Met
	for i, attempts := range pending {
		for _, attempt := range attempts[:min(len(attempts), MaxTidy)] {
			met = append(met, Met{Holder: attempt, Groups: []uint64{uint64(i + 1)}})
		}
	}
	HelpAll(do, groupOf, met)
}

func left(pending [][]wire.Holder) bool {
	for _, attempts := range pending {
		if len(attempts) > 0 {
			return true
		}
	}
	return false
}
