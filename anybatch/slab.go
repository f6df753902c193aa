package anybatch

import "google.golang.org/protobuf/proto"

// slotsPerChunk is small enough that a type which is rarely met costs little, and
// large enough that allocating chunks does not show.
const slotsPerChunk = 64

// slab holds the messages of one type.
type slab[T any] struct {
	how methods[T]
	// chunks never move: a generated message must not be copied, and callers hold
	// pointers into them while the slab grows.
	chunks []*[slotsPerChunk]T
	// used counts the messages; every slot from there on is cleared.
	used int
}

// typeSlab is a slab of any type.
type typeSlab interface {
	// decode takes the next slot. A message that fails takes none.
	decode(value []byte) (slot int32, err error)
	reset()
	message(slot int32) proto.Message
}

func (s *slab[T]) at(i int) *T { return &s.chunks[i/slotsPerChunk][i%slotsPerChunk] }

func (s *slab[T]) decode(value []byte) (int32, error) {
	if s.used == len(s.chunks)*slotsPerChunk {
		s.chunks = append(s.chunks, new([slotsPerChunk]T))
	}
	if err := s.how.decode(s.at(s.used), value); err != nil {
		s.forget(s.used)
		return 0, err
	}
	s.used++
	return int32(s.used - 1), nil
}

func (s *slab[T]) reset() {
	if s.how.clear == nil {
		for begin := 0; begin < s.used; begin += slotsPerChunk {
			clear(s.chunks[begin/slotsPerChunk][:min(s.used-begin, slotsPerChunk)])
		}
	} else {
		for i := range s.used {
			s.how.clear(s.at(i))
		}
	}
	s.used = 0
}

// forget clears the slot of a message that failed, whatever is in it.
func (s *slab[T]) forget(i int) {
	c := s.chunks[i/slotsPerChunk]
	clear(c[i%slotsPerChunk : i%slotsPerChunk+1])
}

func (s *slab[T]) message(slot int32) proto.Message {
	return s.how.message(Slab[T]{s}.At(slot))
}
