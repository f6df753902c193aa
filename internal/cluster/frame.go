package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A frame is one or more messages of raft:
//
//	message = group (uvarint) head entries
//	head    = length (uvarint), the message without entries as protobuf
//	entries = count (uvarint), for each: type (1 byte) term, index, length (uvarints) data
//
// Protobuf would copy the data twice on the way out, and once on the way in.

// frame is a frame in parts, of which those with data are the entries' own bytes.
type frame struct {
	parts [][]byte
	head  []byte // what was not yet made a part
	size  int    // of the entries' data
}

// add puts a message behind those that are there.
func (f *frame) add(group uint64, m *pb.Message) error {
	entries := m.Entries
	m.Entries = nil
	head, err := proto.Marshal(m)
	m.Entries = entries
	if err != nil {
		return err
	}
	f.head = binary.AppendUvarint(f.head, group)
	f.head = binary.AppendUvarint(f.head, uint64(len(head)))
	f.head = append(f.head, head...)
	f.head = binary.AppendUvarint(f.head, uint64(len(entries)))
	for _, e := range entries {
		f.head = append(f.head, byte(e.GetType()))
		f.head = binary.AppendUvarint(f.head, e.GetTerm())
		f.head = binary.AppendUvarint(f.head, e.GetIndex())
		f.head = binary.AppendUvarint(f.head, uint64(len(e.GetData())))
		f.data(e.GetData())
	}
	return nil
}

// copyBelow is the size from which a part of its own is cheaper than a copy.
const copyBelow = 4 << 10

func (f *frame) data(data []byte) {
	f.size += len(data)
	if len(data) < copyBelow {
		f.head = append(f.head, data...)
		return
	}
	f.parts = append(f.parts, f.head, data)
	f.head = nil
}

// finish returns the parts, and begins another frame.
func (f *frame) finish() [][]byte {
	parts := f.parts
	if len(f.head) > 0 {
		parts = append(parts, f.head)
	}
	*f = frame{}
	return parts
}

var errFrame = errors.New("malformed frame")

// eachMessage calls visit with the messages of a frame. Their entries' data is the frame's.
func eachMessage(data []byte, visit func(group uint64, m *pb.Message)) error {
	r := reader{data: data}
	for len(r.data) > 0 {
		group := r.uvarint()
		m := &pb.Message{}
		if head := r.bytes(r.uvarint()); r.err == nil {
			r.err = proto.Unmarshal(head, m)
		}
		count := r.uvarint()
		if r.err != nil || count > uint64(len(r.data)) { // an entry has four bytes at least
			return fmt.Errorf("%w: %w", errFrame, errors.Join(r.err))
		}
		entries := make([]pb.Entry, count)
		m.Entries = make([]*pb.Entry, count)
		numbers := make([]uint64, 2*count)
		for i := range entries {
			e := &entries[i]
			kind := r.bytes(1)
			e.Term, e.Index = &numbers[2*i], &numbers[2*i+1]
			*e.Term, *e.Index = r.uvarint(), r.uvarint()
			e.Data = r.bytes(r.uvarint())
			if r.err != nil {
				return fmt.Errorf("%w: %w", errFrame, r.err)
			}
			if kind[0] != byte(pb.EntryNormal) {
				e.Type = pb.EntryType(kind[0]).Enum()
			}
			m.Entries[i] = e
		}
		visit(group, m)
	}
	return nil
}

// reader cuts pieces off data; after an error it returns nothing of use.
type reader struct {
	data []byte
	err  error
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.err = errFrame
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.data)) {
		r.err = errFrame
		return nil
	}
	out := r.data[:n:n]
	r.data = r.data[n:]
	return out
}
