// Package anybatch decodes batches and streams of google.protobuf.Any into typed
// slabs: one array of messages per registered type, reused from batch to batch.
//
//	var types anybatch.Builder
//	users := anybatch.Register[eventsv1.UserUpdated](&types)
//	orders := anybatch.Register[eventsv1.OrderCreated](&types)
//	registry, err := types.Build()
//	...
//	batch := registry.NewBatch(anybatch.Limits{})
//	err = batch.DecodeField(body, 1) // repeated google.protobuf.Any events = 1;
//	for _, user := range users.In(batch).All() { ... }
//	batch.Reset()
//
// Invariants:
//
//   - Only registered types are decoded. The global registry of protobuf is
//     never asked, so that a type URL from outside cannot choose what is built.
//   - Every message has a slot of its own: no two results share memory that one
//     of them could change. Pointers into a slab stay valid, and their messages
//     unchanged, until Reset.
//   - After Reset no field of an earlier message can be seen in a later one, and
//     the batch holds on to no byte of its input.
//   - A batch decodes up to the first error. What it decoded before that stays
//     usable, and the error names the index of the message it failed at.
//
// A type that has UnmarshalVT (as vtprotobuf generates it) is decoded by it, and
// by package proto otherwise. UnmarshalVT is laxer in one point and stricter in
// another: it takes strings that are not UTF-8, and refuses a known field that
// has another wire type, which proto keeps as unknown.
//
// What a message costs once the slabs have grown, in allocations: none for
// scalar fields; one for each string, and for each bytes value, list, map, oneof
// or nested message in it. A type with ResetVT keeps the capacity of bytes values
// and of lists, and what is nested in lists, so that those cost nothing the next
// time. Strings cost nothing with AliasInput, at the price said there.
//
// A Registry is immutable and may be shared. A Batch belongs to one goroutine at
// a time, and so does a Stream.
//
// The package does not encode, does not resolve an Any inside a message, and does
// not look at what stands before the last slash of a type URL.
package anybatch

import "iter"

// TypeID numbers the types of a registry from 0, in the order they were
// registered.
type TypeID int32

// Ref says where a message of a batch is.
type Ref struct {
	Type TypeID
	// Slot is its index in the slab of that type.
	Slot int32
}

// Type is the handle of a registered type: the key to its slab in any batch of
// the same registry. The zero Type is of no use.
type Type[T any] struct {
	id    TypeID
	owner *Builder
}

// ID is what a Ref to a message of this type carries.
func (t Type[T]) ID() TypeID { return t.id }

// In returns the messages of this type in a batch. It panics when the batch is
// not of the registry that the type was registered for.
func (t Type[T]) In(b *Batch) Slab[T] {
	if t.owner == nil || b.registry.owner != t.owner {
		panic("anybatch: the type and the batch are of different registries")
	}
	return Slab[T]{b.slabs[t.id].(*slab[T])}
}

// Slab is a view of the messages of one type in a batch, in input order. It
// grows and is emptied with its batch.
type Slab[T any] struct{ s *slab[T] }

// Len is the number of messages.
func (s Slab[T]) Len() int { return s.s.used }

// At returns the message in a slot, which the batch owns: it is valid until Reset.
// It panics when there are not as many messages.
func (s Slab[T]) At(slot int32) *T {
	if int(slot) >= s.s.used {
		panic("anybatch: no message in that slot")
	}
	return s.s.at(int(slot))
}

// All iterates over the messages in input order; the numbers are their slots.
func (s Slab[T]) All() iter.Seq2[int32, *T] {
	return func(yield func(int32, *T) bool) {
		for i := 0; i < s.s.used; i++ {
			if !yield(int32(i), s.s.at(i)) {
				return
			}
		}
	}
}
