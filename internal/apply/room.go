package apply

import (
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// maxEvictions bounds the elements of the queue that one command looks at to make room. More
// than one, so that rows beyond the most, which a batch over groups may leave, become fewer.
const maxEvictions = 8

// makeRoom sees to it that one more row fits: it drops the v7 rows that are due first and raises
// the floor to their issue times. Opaque rows cannot go early, because nothing would refuse
// their retries. When it refuses, nothing may go.
func makeRoom(cmd *wire.Command, state State, out *store.Mutations) (*sheaf.Error, error) {
	if roomy(cmd, out.Meta) {
		return nil, nil
	}
	oldest, err := firstDue(dueRowV7, maxEvictions, state)
	if err != nil {
		return nil, err
	}
	if len(oldest) == 0 {
		return noRoom(out.Meta), nil
	}
	for _, element := range oldest {
		if roomy(cmd, out.Meta) {
			break
		}
		if err := evict(element, cmd, state, out); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// evict drops the row of an element of the queue, unless home still needs it: then it stays, one
// too many, and gets so late a due time that it is not in the way of the next.
func evict(element []byte, cmd *wire.Command, state State, out *store.Mutations) error {
	_, at, id := splitDue(element)
	out.Delete(store.Due, element)
	row, known, err := lookup(string(id), state)
	switch {
	case err != nil:
		return err
	case !known || row.DueMS != at: // stale
		return nil
	case len(row.Unfinished) > 0:
		row.DueMS = max(row.DueMS, out.Meta.NowMS) + max(cmd.RetentionMS, keepUnfinishedMS)
		out.Set(store.Rows, id, nil, out.Scratch(row.Append))
		out.Set(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, dueRowV7, row.DueMS, id) }), nil, nil)
		return nil
	}
	issued, _ := sheaf.RequestID(id).IssueTime()
	out.Meta.IDFloorMS = max(out.Meta.IDFloorMS, uint64(issued.UnixMilli()))
	out.Delete(store.Rows, id)
	out.Meta.Rows--
	return nil
}

// roomFor says whether makeRoom would refuse.
func roomFor(cmd *wire.Command, meta store.Meta, state State) (*sheaf.Error, error) {
	if roomy(cmd, meta) {
		return nil, nil
	}
	if oldest, err := firstDue(dueRowV7, 1, state); err != nil || len(oldest) > 0 {
		return nil, err
	}
	return noRoom(meta), nil
}

// roomy says whether the row of cmd fits as it is, if it needs one.
func roomy(cmd *wire.Command, meta store.Meta) bool {
	return cmd.RequestID == "" || meta.Rows < cmd.MaxRows
}

func noRoom(meta store.Meta) *sheaf.Error {
	return &sheaf.Error{
		Code:       sheaf.RateLimited,
		Detail:     fmt.Sprintf("%d request IDs are remembered, the most (limits.request_ids): use IDs of the form v7-<UUIDv7>, or wait", meta.Rows),
		RetryAfter: retryWhenFull,
	}
}

// firstDue returns copies of the first elements of a kind in the queue, at most so many.
func firstDue(kind byte, most int, state State) (first [][]byte, err error) {
	err = state.DueKeys([]byte{kind}, func(key []byte) bool {
		first = append(first, append([]byte(nil), key...))
		return len(first) < most
	})
	return first, err
}
