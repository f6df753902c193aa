package coordinator

import (
	"bytes"
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// otherETag is the refusal of a batch whose keys do not have the ETag that it asks for, or
// have the one that it must not meet.
func otherETag(sum wire.ETagSum) *sheaf.Error {
	return &sheaf.Error{Code: sheaf.ETagMismatch, Detail: fmt.Sprintf("the keys' current ETag is %s", sum.ETag()), CurrentETag: sum.ETag()}
}

// mismatch joins what the groups said of a batch's conditions, when at least one refused it,
// to what one group would have said: of the first kind that fails, the first keys in the
// batch's order, and if all groups have answered the ETag of all keys.
func (s *Several) mismatch(results []apply.Result, all bool) *sheaf.Error {
	var refusals []*sheaf.Error
	var sum wire.ETagSum
	for _, result := range results {
		sum.Add(result.ETag)
		if result.Outcome == apply.Mismatch {
			refusals = append(refusals, result.Refused)
		}
	}
	if all && !s.holds(sum) {
		return otherETag(sum)
	}
	first := *refusals[0]
	for _, refusal := range refusals {
		if refusal.Code == sheaf.ETagMismatch { // what is asked of all keys counts before if_version
			first = *refusal
			break
		}
	}
	first.CurrentETag = ""
	if all && (s.Command.IfMatch.Set || s.Command.IfNoneMatch.Set) {
		first.CurrentETag = sum.ETag()
	}
	named, parts := make(map[string]bool), 0
	for _, refusal := range refusals {
		if refusal.Code == first.Code {
			parts++
			for _, key := range refusal.Keys {
				named[string(key)] = true
			}
		}
	}
	if parts > 1 {
		first.Detail = fmt.Sprintf("a condition fails in %d groups; in the first of them: %s", parts, first.Detail)
	}
	first.Keys = nil
	for _, entry := range s.Command.Entries.All() {
		if named[string(entry.Key)] && len(first.Keys) < sheaf.MaxErrorKeys {
			first.Keys = append(first.Keys, bytes.Clone(entry.Key)) // the batch's bytes are let go first
		}
	}
	return &first
}
