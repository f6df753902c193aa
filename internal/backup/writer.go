package backup

import (
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

// Writer makes a backup: New, for each group Begin, Add and End, and then Close.
type Writer struct {
	to     io.Writer
	crc    uint32
	sha    hash.Hash
	groups int
	// frame is the frame of records being filled, with room for its head.
	frame   []byte
	scratch []byte
	section *Section
	done    int
}

// New writes the beginning of a backup. Every Write that to gets is one frame, or the end of
// one that is large.
func New(to io.Writer, h Header) (*Writer, error) {
	h.StateFormat = StateFormat
	if err := h.validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	w := &Writer{to: to, sha: sha256.New(), groups: h.Groups, frame: make([]byte, frameHeadBytes, frameBytes+64<<10)}
	w.scratch = binary.LittleEndian.AppendUint32([]byte(magic), formatVersion)
	if err := w.write(w.scratch); err != nil {
		return nil, err
	}
	return w, w.small(kindHeader, data)
}

// Begin begins the section of the next group.
func (w *Writer) Begin(meta store.Meta) error {
	if w.section != nil || w.done == w.groups {
		return errors.New("backup: a section that does not fit")
	}
	w.section = &Section{Group: w.done + 1, Meta: meta}
	return w.small(kindSection, meta.Append(binary.LittleEndian.AppendUint32(nil, uint32(w.section.Group))))
}

// Add writes one record, and leaves those of spaces out that are not in a backup. It copies key
// and value.
func (w *Writer) Add(space store.Space, key, value []byte) error {
	if !Has(space) {
		return nil
	}
	if len(key)+len(value) > maxFrameBytes/2 {
		return fmt.Errorf("a record of %d bytes is too large for a backup", len(key)+len(value))
	}
	*w.section.Counts.of(space)++
	w.scratch = w.section.Sum.Add(space, key, value, w.scratch)
	if w.frame = append(w.frame, w.scratch...); len(w.frame) < frameBytes {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if len(w.frame) == frameHeadBytes {
		return nil
	}
	err := w.writeFrame(kindRecords, w.frame)
	w.frame = w.frame[:frameHeadBytes]
	return err
}

// End ends the section.
func (w *Writer) End() (Section, error) {
	if err := w.flush(); err != nil {
		return Section{}, err
	}
	s := *w.section
	var payload []byte
	for _, n := range [...]uint64{s.Counts.Keys, s.Counts.RequestIDs, s.Counts.Due, s.Sum.Hi, s.Sum.Lo} {
		payload = binary.LittleEndian.AppendUint64(payload, n)
	}
	w.section = nil
	w.done++
	return s, w.small(kindEnd, payload)
}

// Close writes the end. It does not close what is written to.
func (w *Writer) Close() error {
	if w.section != nil || w.done != w.groups {
		return fmt.Errorf("backup: it has %d of %d groups", w.done, w.groups)
	}
	return w.small(kindFile, w.sha.Sum(nil))
}

// small writes a frame that is no records.
func (w *Writer) small(kind byte, payload []byte) error {
	return w.writeFrame(kind, append(make([]byte, frameHeadBytes), payload...))
}

// writeFrame writes a frame whose payload follows frameHeadBytes of room. It may append to
// frame.
func (w *Writer) writeFrame(kind byte, frame []byte) error {
	frame[0] = kind
	binary.LittleEndian.PutUint32(frame[1:], uint32(len(frame)-frameHeadBytes))
	sum := crc32.Update(w.crc, castagnoli, frame)
	return w.write(binary.LittleEndian.AppendUint32(frame, sum))
}

func (w *Writer) write(data []byte) error {
	w.crc = crc32.Update(w.crc, castagnoli, data)
	_, _ = w.sha.Write(data) // which never fails
	_, err := w.to.Write(data)
	return err
}
