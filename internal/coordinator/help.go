package coordinator

import (
	"slices"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Met is an attempt that holds keys of somebody else's, and the groups of those.
type Met struct {
	Holder wire.Holder
	Groups []uint64
}

// Help asks an attempt's home for its verdict and tells groups that may have its intents.
// False: it is undecided, as the result then says, or home did not answer.
func Help(do Carrier, groupOf func(key []byte) uint64, holder wire.Holder, groups []uint64) (apply.Result, bool) {
	result := HelpAll(do, groupOf, []Met{{Holder: holder, Groups: groups}})[0]
	return result, decided(result)
}

// helpTogether bounds how many attempts are asked about side by side.
const helpTogether = 64

// HelpAll is Help for several attempts, each once. The result of one whose home did not answer
// is Answered.
func HelpAll(do Carrier, groupOf func(key []byte) uint64, all []Met) []apply.Result {
	results := make([]apply.Result, 0, len(all))
	for some := range slices.Chunk(all, helpTogether) {
		results = append(results, help(do, groupOf, some)...)
	}
	return results
}

func help(do Carrier, groupOf func(key []byte) uint64, met []Met) []apply.Result {
	questions, results := make([]Call, len(met)), make([]apply.Result, len(met))
	for i := range met {
		holder := &met[i].Holder
		questions[i] = Call{Group: groupOf(holder.HomeKey), Status: &StatusCall{
			RequestID: holder.RequestID, Attempt: holder.Attempt, DeadlineMS: holder.DeadlineMS, RetentionMS: holder.RetentionMS,
		}}
	}
	var resolves []Call
	for i, reply := range do.Call(questions) {
		if !reply.answer() {
			continue
		}
		if results[i] = reply.Result; !decided(reply.Result) {
			continue
		}
		resolve := &wire.Command{
			Kind: wire.Resolve, RequestID: met[i].Holder.RequestID, Attempt: met[i].Holder.Attempt,
			Commit: reply.Result.Outcome == apply.Committed, Version: reply.Result.Version,
		}
		for _, group := range met[i].Groups {
			resolves = append(resolves, Call{Group: group, Command: resolve})
		}
	}
	if len(resolves) > 0 {
		do.Call(resolves)
	}
	return results
}

// decided says whether a Status is an end.
func decided(result apply.Result) bool {
	return result.Outcome == apply.Committed || result.Outcome == apply.Aborted || result.Outcome == apply.Gone
}
