package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/sheafdb/sheaf/internal/store"
)

// ErrDamaged is in the chain of every error that means damaged bytes.
var ErrDamaged = errors.New("the backup is damaged")

// Reader reads a backup and believes nothing that its sums do not cover. What it has handed
// out is part of a whole backup only when Read has returned nil.
type Reader struct {
	from   *bufio.Reader
	offset int64
	crc    uint32
	sha    hash.Hash
	buf    bytes.Buffer
	header Header
}

// Open reads the beginning of a backup.
func Open(from io.Reader) (*Reader, error) {
	r := &Reader{from: bufio.NewReaderSize(from, frameBytes), sha: sha256.New()}
	preamble, err := r.read(preambleBytes)
	if errors.Is(err, ErrDamaged) || err == nil && string(preamble[:len(magic)]) != magic {
		return nil, errors.New("this is not a backup that \"sheaf backup\" made: it does not begin like one; look whether it is another file, or compressed or encrypted, and undo that first")
	}
	if err != nil {
		return nil, err
	}
	if version := binary.LittleEndian.Uint32(preamble[len(magic):]); version != formatVersion {
		return nil, fmt.Errorf("it has format %d and this version of sheaf reads %d: use a newer one, at least that which made it", version, formatVersion)
	}
	kind, payload, err := r.frame(maxSmallBytes)
	switch {
	case err != nil:
		return nil, err
	case kind != kindHeader:
		return nil, r.damaged("a frame of kind %d is where the header belongs", kind)
	}
	if err := json.Unmarshal(payload, &r.header); err != nil {
		return nil, r.damaged("the header cannot be read: %v", err)
	}
	return r, r.header.validate()
}

// Header says what the backup is of.
func (r *Reader) Header() Header { return r.header }

// Visitor is told what a backup has, in this order for each group. An error of it ends Read.
type Visitor struct {
	// Begin: a section begins; its counts and sum are not known yet.
	Begin func(Section) error
	// Record: key and value are valid during the call.
	Record func(space store.Space, key, value []byte) error
	// End: the section is as its sums say.
	End func(Section) error
}

// Read reads the rest, to the last byte.
func (r *Reader) Read(v Visitor) error {
	for group := 1; group <= r.header.Groups; group++ {
		if err := r.section(group, v); err != nil {
			return err
		}
	}
	want := r.sha.Sum(nil)
	kind, payload, err := r.frame(maxSmallBytes)
	switch {
	case err != nil:
		return err
	case kind != kindFile:
		return r.damaged("a frame of kind %d is where the end belongs", kind)
	case !bytes.Equal(payload, want):
		return r.damaged("its SHA-256 is %x and the end says %x", want, payload)
	}
	switch _, err := r.from.ReadByte(); {
	case err == nil:
		return r.damaged("bytes follow its end: cut the file there, or take the file anew")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func (r *Reader) section(group int, v Visitor) error {
	kind, payload, err := r.frame(maxSmallBytes)
	switch {
	case err != nil:
		return err
	case kind != kindSection || len(payload) != sectionBytes || binary.LittleEndian.Uint32(payload) != uint32(group):
		return r.damaged("group %d does not begin where it should", group)
	}
	s := Section{Group: group, Meta: store.DecodeMeta(payload[4:])}
	if err := v.Begin(s); err != nil {
		return err
	}
	var scratch []byte
	for {
		kind, payload, err := r.frame(maxFrameBytes)
		switch {
		case err != nil:
			return err
		case kind == kindEnd:
			if err := r.sectionEnd(&s, payload); err != nil {
				return err
			}
			return v.End(s)
		case kind != kindRecords || len(payload) == 0:
			return r.damaged("a frame of kind %d is in the middle of group %d", kind, group)
		}
		for len(payload) > 0 {
			space, key, value, rest, err := store.CutRecord(payload)
			if err != nil {
				return r.damaged("%v", err)
			}
			if !Has(space) {
				return r.damaged("a record of group %d is of space %d, which is in no backup", group, space)
			}
			*s.Counts.of(space)++
			scratch = s.Sum.Add(space, key, value, scratch)
			if err := v.Record(space, key, value); err != nil {
				return err
			}
			payload = rest
		}
	}
}

func (r *Reader) sectionEnd(s *Section, payload []byte) error {
	if len(payload) != endBytes {
		return r.damaged("group %d does not end as it should", s.Group)
	}
	var n [5]uint64
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(payload[8*i:])
	}
	told := Section{Group: s.Group, Meta: s.Meta, Counts: Counts{n[0], n[1], n[2]}, Sum: Sum{n[3], n[4]}}
	if told != *s {
		return r.damaged("group %d has %+v and its end says %+v", s.Group, *s, told)
	}
	return nil
}

// Verify reads all of a backup and returns what it has.
func Verify(from io.Reader) (Header, []Section, error) {
	r, err := Open(from)
	if err != nil {
		return Header{}, nil, err
	}
	var sections []Section
	err = r.Read(Visitor{
		Begin:  func(Section) error { return nil },
		Record: func(store.Space, []byte, []byte) error { return nil },
		End: func(s Section) error {
			sections = append(sections, s)
			return nil
		},
	})
	return r.header, sections, err
}

// damaged is an error about the bytes just read, that says what to do.
func (r *Reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: up to offset %d: %s: use another copy of it, or an older backup", ErrDamaged, r.offset, fmt.Sprintf(format, args...))
}

// frame reads one frame and checks its sum. The payload is valid until the next.
func (r *Reader) frame(most int) (kind byte, payload []byte, err error) {
	head, err := r.read(frameHeadBytes)
	if err != nil {
		return 0, nil, err
	}
	kind = head[0]
	length := binary.LittleEndian.Uint32(head[1:])
	if uint64(length) > uint64(most) {
		return 0, nil, r.damaged("a frame says that it has %d bytes", length)
	}
	r.buf.Reset()
	if err := r.fill(int(length)); err != nil {
		return 0, nil, err
	}
	want := r.crc
	sum, err := r.read(sumBytes)
	if err != nil {
		return 0, nil, err
	}
	if got := binary.LittleEndian.Uint32(sum); got != want {
		return 0, nil, r.damaged("the checksum of a frame does not fit")
	}
	return kind, r.buf.Bytes(), nil
}

// fill reads n bytes into buf, which grows only as they come: a damaged length costs no
// memory.
func (r *Reader) fill(n int) error {
	for n > 0 {
		piece := min(n, frameBytes)
		data, err := r.read(piece)
		if err != nil {
			return err
		}
		r.buf.Write(data)
		n -= piece
	}
	return nil
}

// read returns the next bytes, at most frameBytes; they are valid until the next read.
func (r *Reader) read(n int) ([]byte, error) {
	data, err := r.from.Peek(n)
	if errors.Is(err, io.EOF) {
		r.offset += int64(len(data))
		return nil, r.damaged("it ends there, before its end: it was cut off, or is still being written")
	}
	if err != nil {
		return nil, fmt.Errorf("read at offset %d: %w", r.offset, err)
	}
	_, _ = r.from.Discard(n) // they are there
	r.offset += int64(n)
	r.crc = crc32.Update(r.crc, castagnoli, data)
	_, _ = r.sha.Write(data) // which never fails
	return data, nil
}
