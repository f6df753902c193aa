package drive

import (
	"context"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// batch is a write that a client wants made.
type batch struct {
	id     sheaf.RequestID
	keys   []string
	values []*string // nil is a delete
	level  sheaf.Consistency
	after  uint64
	// last: nobody writes to the trial any more behind it.
	last bool

	condition string // of history, or ""
	expect    []*string
	etag      sheaf.ETag
	versions  []uint64
}

// found is what a read found: nil and 0 for a key that is not there.
type found struct {
	values   []*string
	versions []uint64
	etag     sheaf.ETag
}

// sendBatch records and makes one call. A patient one lets the client try again by itself.
func (c *caller) sendBatch(b *batch, n *node, patient bool) history.Return {
	call := &history.Call{
		Trial: c.trial, Client: c.client, Process: c.process, Node: n.addr, Level: b.level.String(), After: b.after,
		RequestID: string(b.id), Keys: b.keys, Writes: b.values, Condition: b.condition, Expect: b.expect, Final: b.last,
	}
	options := []client.WriteOption{client.At(b.level), client.After(b.after), client.WithRequestID(b.id)}
	switch b.condition {
	case history.ByETag:
		call.IfMatch = string(b.etag)
		options = append(options, client.IfMatch(b.etag))
	case history.ByVersions:
		call.IfVersions = b.versions
	case history.NoneExists:
		options = append(options, client.IfNoneMatch("*"))
	}
	if !patient {
		options = append(options, client.WithoutRetry())
	}
	entries := c.entries(b)
	return c.record(call, func(ctx context.Context, ret *history.Return) error {
		result, err := n.conn.PutAll(ctx, entries, options...)
		ret.Attempts = result.Attempts
		if err == nil {
			ret.Version, ret.ETag = result.Version, string(result.ETag)
			ret.Replayed, ret.Accepted = result.Replayed, result.Accepted
		}
		return err
	})
}

func (c *caller) entries(b *batch) []sheaf.Entry {
	entries := make([]sheaf.Entry, len(b.keys))
	for i, key := range b.keys {
		if value := b.values[i]; value != nil {
			entries[i] = sheaf.Put(c.key(key), *value)
		} else {
			entries[i] = sheaf.Delete(c.key(key))
		}
		if b.condition == history.ByVersions {
			entries[i] = entries[i].OnlyIfVersion(b.versions[i])
		}
	}
	return entries
}

// reading is a read that a client wants made.
type reading struct {
	keys  []string
	level sheaf.Consistency
	after uint64
	// last: nobody writes to the trial any more.
	last bool
}

func (c *caller) sendRead(r *reading, n *node, patient bool) (found, bool) {
	call := &history.Call{
		Trial: c.trial, Client: c.client, Process: c.process, Node: n.addr, Level: r.level.String(), After: r.after,
		Keys: r.keys, Final: r.last,
	}
	options := []client.ReadOption{client.At(r.level), client.After(r.after)}
	if !patient {
		options = append(options, client.WithoutRetry())
	}
	keys := make([][]byte, len(r.keys))
	for i, key := range r.keys {
		keys[i] = c.key(key)
	}
	var f found
	ret := c.record(call, func(ctx context.Context, ret *history.Return) error {
		values, err := n.conn.GetAll(ctx, keys, options...)
		if err != nil {
			return err
		}
		f = found{make([]*string, len(keys)), make([]uint64, len(keys)), values.ETag}
		for i, item := range values.Items {
			if item.Found {
				value := string(item.Value)
				f.values[i], f.versions[i] = &value, item.Version
			}
		}
		ret.Values, ret.Versions, ret.ETag = f.values, f.versions, string(f.etag)
		return nil
	})
	return f, ret.Outcome == history.OK
}

// record writes a call down, makes it, and writes down how it ended. When the history cannot
// be written, nothing is called and the run ends.
func (c *caller) record(call *history.Call, make func(context.Context, *history.Return) error) history.Return {
	op, err := c.recorder.Call(call)
	if err != nil {
		c.fail(err)
		return history.Return{Outcome: history.DidNothing}
	}
	ctx, cancel := context.WithTimeout(c.work, c.CallTimeout)
	defer cancel()
	ret := history.Return{SentNS: c.recorder.Now()}
	err = make(ctx, &ret)
	now := c.recorder.Now()
	ret.Outcome = outcomeOf(err, call.RequestID != "")
	if err != nil {
		ret.Code, ret.Detail = sheaf.CodeOf(err), shortened(err.Error())
	}
	if err := c.recorder.Return(op, now, &ret); err != nil {
		c.fail(err)
	}
	return ret
}

// outcomeOf asks the error table what is true of the batch of one call.
func outcomeOf(err error, write bool) history.Outcome {
	if err == nil {
		return history.OK
	}
	if !write {
		return history.DidNothing
	}
	row, _ := sheaf.CodeOf(err).Row()
	switch row.Outcome {
	case sheaf.NotApplied:
		return history.NotApplied
	case sheaf.CallDidNothing:
		return history.DidNothing
	}
	return history.Unknown
}

// longestDetail bounds what an error adds to the history.
const longestDetail = 200

func shortened(text string) string {
	if len(text) > longestDetail {
		return text[:longestDetail] + "…"
	}
	return text
}
