package anybatch

import (
	"fmt"
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Limits bound a batch. A field below 1 means its default.
type Limits struct {
	// Messages bounds their number; by default 100,000.
	Messages int
	// Bytes bounds the sum of their type URLs and encoded values, and of a Stream with
	// AliasInput that of whole frames, which its messages hold on to; by default 64 MiB.
	Bytes int
	// MessageBytes bounds one, as Bytes counts it, and in a Stream as it is framed;
	// by default 16 MiB, and never more than Bytes.
	MessageBytes int
}

func (l Limits) withDefaults() Limits {
	if l.Messages < 1 {
		l.Messages = 100_000
	}
	if l.Bytes < 1 {
		l.Bytes = 64 << 20
	}
	if l.MessageBytes < 1 {
		l.MessageBytes = 16 << 20
	}
	l.MessageBytes = min(l.MessageBytes, l.Bytes)
	return l
}

// Batch holds decoded messages, in slabs by type, and their order. It belongs to
// one goroutine. Its memory grows to that of the largest batch it held, and is
// given back by dropping the Batch.
type Batch struct {
	registry *Registry
	limits   Limits
	slabs    []typeSlab // by TypeID
	refs     []Ref      // in input order
	bytes    int        // counted against limits.Bytes
	frames   []byte     // what a Stream read; see room
}

// NewBatch returns an empty batch for messages of the registry's types.
func (r *Registry) NewBatch(limits Limits) *Batch {
	b := &Batch{registry: r, limits: limits.withDefaults(), slabs: make([]typeSlab, len(r.kinds))}
	for i, k := range r.kinds {
		b.slabs[i] = k.newSlab()
	}
	return b
}

// Decode adds messages. It stops at the first that fails, with an *Error.
func (b *Batch) Decode(anys []*anypb.Any) error {
	for _, a := range anys {
		url := a.GetTypeUrl()
		id, ok := find(b.registry, url)
		if err := b.add(id, ok, len(url), a.GetValue()); err != nil {
			return errorAt(len(b.refs), []byte(url), err)
		}
	}
	return nil
}

// DecodeField adds the messages of one field of an encoded message, a repeated
// (or single) google.protobuf.Any, which it walks in place; other fields are
// passed over. It stops at the first message that fails, with an *Error; bytes
// that are no message at all are reported as the index that would have come next.
func (b *Batch) DecodeField(message []byte, field protowire.Number) error {
	if !field.IsValid() {
		return fmt.Errorf("anybatch: %d is no field number", field)
	}
	for {
		encoded, rest, err := nextField(message, field)
		if err != nil {
			return errorAt(len(b.refs), nil, malformed(err))
		}
		if encoded == nil {
			return nil
		}
		if err := b.DecodeAny(encoded); err != nil {
			return err
		}
		message = rest
	}
}

// DecodeAny adds the message of one encoded google.protobuf.Any. Its error is an
// *Error.
func (b *Batch) DecodeAny(encoded []byte) error {
	url, value, err := splitAny(encoded)
	if err != nil {
		return errorAt(len(b.refs), nil, malformed(err))
	}
	id, ok := find(b.registry, url)
	if err := b.add(id, ok, len(url), value); err != nil {
		return errorAt(len(b.refs), url, err)
	}
	return nil
}

// DecodeValue adds the message of a google.protobuf.Any that came in its two parts. Its error is
// an *Error.
func (b *Batch) DecodeValue(typeURL string, value []byte) error {
	id, ok := b.registry.Find(typeURL)
	if err := b.add(id, ok, len(typeURL), value); err != nil {
		return errorAt(len(b.refs), []byte(typeURL), err)
	}
	return nil
}

// add decodes one message into the slab of its type.
func (b *Batch) add(id TypeID, known bool, urlBytes int, value []byte) error {
	size := urlBytes + len(value)
	switch {
	case len(b.refs) == b.limits.Messages:
		return ErrTooManyMessages
	case size > b.limits.MessageBytes:
		return ErrMessageTooLarge
	case size > b.limits.Bytes-b.bytes:
		return ErrTooManyBytes
	case !known:
		return ErrUnknownType
	}
	slot, err := b.slabs[id].decode(value)
	if err != nil {
		return malformed(err)
	}
	b.refs = append(b.refs, Ref{Type: id, Slot: slot})
	b.bytes += size
	return nil
}

// Len is the number of messages.
func (b *Batch) Len() int { return len(b.refs) }

// At says where message i of the input is. It panics when there is none.
func (b *Batch) At(i int) Ref { return b.refs[i] }

// All iterates over the messages in input order.
func (b *Batch) All() iter.Seq2[int, Ref] {
	return func(yield func(int, Ref) bool) {
		for i, ref := range b.refs {
			if !yield(i, ref) {
				return
			}
		}
	}
}

// Message returns a message whatever its type, valid until Reset. It panics when
// there is none at ref.
func (b *Batch) Message(ref Ref) proto.Message { return b.slabs[ref.Type].message(ref.Slot) }

// Reset empties the batch and keeps its memory for the next. Every message that it
// handed out is cleared, and will be used again.
func (b *Batch) Reset() {
	for _, s := range b.slabs {
		s.reset()
	}
	b.refs = b.refs[:0]
	b.bytes = 0
	b.frames = b.frames[:0]
}
