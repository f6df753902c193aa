package drive

import (
	"sync/atomic"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// Counts are the operations so far, by what became of them: a condition of a refused one did
// not hold, a failed one did nothing. One that was unknown and has been settled by a retry
// counts as what the retry said.
type Counts struct {
	OK, Refused, Failed, Unknown atomic.Int64
}

func (c *Counts) of(ret *history.Return) *atomic.Int64 {
	switch {
	case ret.Outcome == history.OK:
		return &c.OK
	case ret.Outcome == history.Unknown:
		return &c.Unknown
	case ret.Code == sheaf.ETagMismatch, ret.Code == sheaf.VersionMismatch:
		return &c.Refused
	}
	return &c.Failed
}
