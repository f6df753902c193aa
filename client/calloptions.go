package client

import (
	"time"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// WriteOption changes one write.
type WriteOption interface{ applyWrite(*writeOptions) }

// ReadOption changes one read.
type ReadOption interface{ applyRead(*readOptions) }

// CallOption changes one call, be it a write or a read.
type CallOption interface {
	WriteOption
	ReadOption
}

// readOptions is also the part of writeOptions that every call has.
type readOptions struct {
	level   sheaf.Consistency
	after   uint64
	noRetry bool
	hedge   time.Duration // of reads only
}

type writeOptions struct {
	readOptions
	id                       sheaf.RequestID
	ifMatch, ifNoneMatch     sheaf.ETag
	idSet, matchSet, noneSet bool
	ttl                      time.Duration
	streamBytes              int64 // of a PutStream
}

type writeOption func(*writeOptions)

func (f writeOption) applyWrite(o *writeOptions) { f(o) }

type readOption func(*readOptions)

func (f readOption) applyRead(o *readOptions) { f(o) }

type callOption func(*readOptions)

func (f callOption) applyWrite(o *writeOptions) { f(&o.readOptions) }
func (f callOption) applyRead(o *readOptions)   { f(o) }

// WithRequestID names the batch, to repeat one whose outcome is unknown: the
// entries must be the same, byte for byte. Without it each write gets a fresh
// ID, which its [Result] tells.
func WithRequestID(id sheaf.RequestID) WriteOption {
	return writeOption(func(o *writeOptions) { o.id, o.idSet = id, true })
}

// IfMatch writes only if etag is the current ETag of exactly the keys that the
// batch names; "*" asks that all of them exist. Otherwise the error is
// ETAG_MISMATCH.
func IfMatch(etag sheaf.ETag) WriteOption {
	return writeOption(func(o *writeOptions) { o.ifMatch, o.matchSet = etag, true })
}

// IfNoneMatch writes only if etag is not the current ETag of the keys that the
// batch names; "*" asks that none of them exists. Otherwise the error is
// ETAG_MISMATCH.
func IfNoneMatch(etag sheaf.ETag) WriteOption {
	return writeOption(func(o *writeOptions) { o.ifNoneMatch, o.noneSet = etag, true })
}

// WithTTL is the time to live of every put of the write that has none of its
// own, rounded up to whole milliseconds. 0 is for ever.
func WithTTL(ttl time.Duration) WriteOption {
	return writeOption(func(o *writeOptions) { o.ttl = ttl })
}

// At sets the level. The default is [sheaf.Linearizable].
func At(level sheaf.Consistency) CallOption {
	return callOption(func(o *readOptions) { o.level = level })
}

// After makes a write's version larger than version, and lets a read answer
// only from state at least that new. Pass the largest version the session has
// seen.
func After(version uint64) CallOption {
	return callOption(func(o *readOptions) { o.after = version })
}

// WithoutRetry sends the call once. A write that may have reached the node and
// was not answered then fails with OUTCOME_UNKNOWN.
func WithoutRetry() CallOption {
	return callOption(func(o *readOptions) { o.noRetry = true })
}

func gatherWrite(opts []WriteOption) (writeOptions, *sheaf.Error) {
	var o writeOptions
	for _, opt := range opts {
		opt.applyWrite(&o)
	}
	// A protobuf field cannot tell "empty" from "not given": sent like this,
	// an empty condition would be a write without one.
	switch {
	case o.idSet && o.id == "":
		return o, sheaf.Invalid("request_id", "is empty: leave WithRequestID out for a fresh one")
	case isPlace(o.id):
		return o, sheaf.Invalid("request_id", "is %q, which names one write of a bundle and cannot be repeated: give a write that you may want to repeat an ID before it is sent", o.id)
	case o.matchSet && o.ifMatch == "":
		return o, sheaf.Invalid("if_match", "is empty: leave IfMatch out to write without a condition")
	case o.noneSet && o.ifNoneMatch == "":
		return o, sheaf.Invalid("if_none_match", "is empty: leave IfNoneMatch out to write without a condition")
	}
	return o, nil
}

func gatherRead(opts []ReadOption) readOptions {
	var o readOptions
	for _, opt := range opts {
		opt.applyRead(&o)
	}
	return o
}

// protoLevel is the level's number in sheaf.v1, which keeps 0 for "not given".
func (o *readOptions) protoLevel() sheafv1.Consistency {
	return sheafv1.Consistency(o.level) + 1
}
