package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sheafdb/sheaf"
)

// Kind says what a command does; package apply gives it its meaning.
type Kind byte

// The kinds. Their numbers are on disk: they are never changed or reused.
const (
	// Fast writes a batch whose keys are all in one group.
	Fast Kind = 1
	// Tick advances the group's clock, which expires what is due.
	Tick Kind = 2

	// The others carry a batch over several groups; package apply has the protocol.

	// Prepare takes intents on the keys of one group's part of a batch.
	Prepare Kind = 3
	// Decide commits a batch, in its home group.
	Decide Kind = 4
	// Resolve makes an attempt's intents values, or drops them.
	Resolve Kind = 5
	// Done says that all groups of a committed batch have resolved it.
	Done Kind = 6
	// Reject remembers, in its home group, that a batch's conditions failed.
	Reject Kind = 7
	// Reserve keeps new writers off some keys for a while; Unreserve ends that.
	Reserve   Kind = 8
	Unreserve Kind = 9

	// Join and Leave change the members of the cluster, in its first group: Keys are the
	// node's name, and for Join its address and its disk, for Leave the numbers of the members
	// for whom it was decided that the node can go.
	Join  Kind = 10
	Leave Kind = 11

	// Pause keeps new batches over several groups out of a group for a moment; Resume ends
	// that and says whether it has lasted.
	Pause  Kind = 12
	Resume Kind = 13

	// Bundle writes many batches of one entry each, of one group, of which each is applied or
	// refused by itself.
	Bundle Kind = 14
)

// Command is the data of a log entry. Apply must depend on nothing but the
// command and the state, so the leader stamps in what differs between nodes:
// the time and the limits it is configured with.
type Command struct {
	Kind Kind
	// NowMS is the leader's wall clock, in milliseconds since the Unix epoch.
	NowMS uint64
	// RetentionMS is how long an answered request ID is remembered.
	RetentionMS uint64
	// MaxRows is how many request IDs the group remembers.
	MaxRows uint64

	// RequestID names the batch. Empty: a Fast one that is not remembered, so not safe to
	// retry; a batch over several groups always has one. Reserve has the reader's ID here,
	// Pause its own.
	RequestID   string
	Fingerprint Fingerprint // of the whole batch
	// DeadlineMS: not applied when the group's clock is past it; 0 is none. A
	// reservation ends then. Of Pause it is a time span, from the group's clock on.
	DeadlineMS uint64

	// What follows belongs to Fast, Prepare and Bundle, which has no Match.

	// After: the version will be larger.
	After       uint64
	Level       sheaf.Consistency
	IfMatch     Match
	IfNoneMatch Match
	Entries     Entries // of Prepare those of one group

	// What follows belongs to batches over several groups.

	// Attempt numbers the coordinator's tries of one request ID, across all coordinators.
	Attempt uint64
	// HomeKey is the batch's first key in sorted order; its group decides.
	HomeKey []byte
	// Condition is the ConditionHash of the whole batch.
	Condition uint64
	// Version is the batch's; of Resume the log entry at which the pause began.
	Version uint64
	// Commit tells Resolve what became of the attempt.
	Commit bool
	// Keys are those of Reserve and Unreserve; of Decide one of each group that has a
	// part; of Join and Leave what these say.
	Keys [][]byte

	// Source has the bytes that Entries views. It is not part of the encoding; nil when
	// they belong to the garbage collector.
	Source *Buffer
}

const (
	flagIfMatch     = 1 << 0
	flagIfNoneMatch = 1 << 1
	flagConditional = 1 << 2
)

// AppendHeader appends everything but the entries. The data of the log entry is
// that, followed by Entries.Raw(), which is why they need not be copied.
func (c *Command) AppendHeader(dst []byte) []byte {
	dst = append(dst, byte(c.Kind))
	dst = binary.AppendUvarint(dst, c.NowMS)
	dst = binary.AppendUvarint(dst, c.RetentionMS)
	dst = binary.AppendUvarint(dst, c.MaxRows)
	switch c.Kind {
	case Tick:
		return dst
	case Fast, Bundle:
	case Prepare:
		dst = binary.AppendUvarint(dst, c.Attempt)
		dst = appendBytes(dst, c.HomeKey)
		dst = binary.BigEndian.AppendUint64(dst, c.Condition)
	default:
		return c.appendSmall(dst)
	}
	var flags byte
	if c.IfMatch.Set {
		flags |= flagIfMatch
	}
	if c.IfNoneMatch.Set {
		flags |= flagIfNoneMatch
	}
	if c.Entries.conditional {
		flags |= flagConditional
	}
	dst = append(dst, flags, byte(c.Level))
	dst = binary.AppendUvarint(dst, c.DeadlineMS)
	dst = binary.AppendUvarint(dst, c.After)
	dst = binary.AppendUvarint(dst, uint64(len(c.RequestID)))
	dst = append(dst, c.RequestID...)
	dst = append(dst, c.Fingerprint[:]...)
	if c.IfMatch.Set {
		dst = appendMatch(dst, c.IfMatch)
	}
	if c.IfNoneMatch.Set {
		dst = appendMatch(dst, c.IfNoneMatch)
	}
	return binary.AppendUvarint(dst, uint64(c.Entries.count))
}

// DecodeCommand reads the data of a log entry in place: the result views data.
// An error means that this program cannot know what the entry does, so the
// caller must stop and not skip it. Entries are checked for shape only; their
// limits were enforced before they were logged, and may have changed since.
func DecodeCommand(data []byte) (Command, error) {
	r := reader{rest: data}
	c := Command{Kind: Kind(r.byte())}
	c.NowMS = r.uvarint()
	c.RetentionMS = r.uvarint()
	c.MaxRows = r.uvarint()
	switch c.Kind {
	case Tick:
	case Decide, Resolve, Done, Reject, Reserve, Unreserve, Join, Leave, Pause, Resume:
		c.readSmall(&r)
	case Fast, Prepare, Bundle:
		known, parse := byte(flagIfMatch|flagIfNoneMatch|flagConditional), ParseEntries
		if c.Kind == Bundle {
			known, parse = flagConditional, ParseBundle
		}
		if c.Kind == Prepare {
			c.Attempt = r.uvarint()
			c.HomeKey = r.bytes(r.length())
			c.Condition = r.uint64()
		}
		flags := r.byte()
		c.Level = sheaf.Consistency(r.byte())
		c.DeadlineMS = r.uvarint()
		c.After = r.uvarint()
		c.RequestID = string(r.bytes(r.length()))
		copy(c.Fingerprint[:], r.bytes(len(c.Fingerprint)))
		if flags&flagIfMatch != 0 {
			c.IfMatch = r.match()
		}
		if flags&flagIfNoneMatch != 0 {
			c.IfNoneMatch = r.match()
		}
		count := r.uvarint()
		if r.failed {
			break
		}
		entries, err := parse(r.rest, shapeOnly)
		if err != nil {
			return c, fmt.Errorf("decode the entries of a command: %w", err)
		}
		if uint64(entries.count) != count || flags&^known != 0 ||
			entries.conditional != (flags&flagConditional != 0) {
			return c, errors.New("decode a command: its header does not describe its entries")
		}
		c.Entries, r.rest = entries, nil
	default:
		return c, fmt.Errorf("decode a command: kind %d is unknown: it was written by a newer version", c.Kind)
	}
	if r.failed || len(r.rest) > 0 {
		return c, fmt.Errorf("decode a command of kind %d: malformed header", c.Kind)
	}
	return c, nil
}

// shapeOnly are limits that no entry which fits a log entry can exceed.
var shapeOnly = sheaf.Limits{BatchEntries: 1 << 30, BatchBytes: 1 << 30, KeyBytes: 1 << 30, ValueBytes: 1 << 30}

// appendMatch appends a Match that is set: 0 for "*", else the number of tags
// plus one and the tags.
func appendMatch(dst []byte, m Match) []byte {
	if m.Star {
		return append(dst, 0)
	}
	dst = append(dst, byte(len(m.Tags)+1))
	for _, tag := range m.Tags {
		dst = binary.BigEndian.AppendUint64(dst, tag.Hi)
		dst = binary.BigEndian.AppendUint64(dst, tag.Lo)
	}
	return dst
}

// reader consumes bytes; after the first failure everything it returns is zero.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if r.failed || n <= 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) length() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed = true
		return 0
	}
	return int(n)
}

func (r *reader) bytes(n int) []byte {
	if r.failed || n > len(r.rest) {
		r.failed = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) match() Match {
	n := int(r.byte())
	if n == 0 {
		return Match{Set: true, Star: true}
	}
	m := Match{Set: true}
	for range n - 1 {
		m.Tags = append(m.Tags, ETagSum{r.uint64(), r.uint64()})
	}
	return m
}
