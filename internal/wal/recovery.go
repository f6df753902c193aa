package wal

import (
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// files is what a log's directory has, by ascending number.
type files struct {
	segments []uint64
	spares   []uint64
}

// listFiles ignores names that are not the log's.
func listFiles(fs vfs.FS, dir string) (f files, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return f, fmt.Errorf("list log directory: %w", err)
	}
	for _, name := range names {
		if seq, ok := parseSegmentName(name); ok {
			f.segments = append(f.segments, seq)
		}
		if n, ok := parseSpareName(name); ok {
			f.spares = append(f.spares, n)
		}
	}
	slices.Sort(f.segments)
	slices.Sort(f.spares)
	return f, nil
}

// recovery reads the segments of a log. It changes no file; all it finds out
// is in the index and in its own fields.
type recovery struct {
	fs    vfs.FS
	dir   string
	files files
	index *index
	logID uint64

	// image is the segment read last, loaded its number. Its buffer is used
	// again for the next one.
	image  image
	loaded uint64
	buf    []byte

	// Of the last segment that counts:
	header segmentHeader
	found  contents
	tail   tail
	// unborn is a newer segment whose beginning a crash interrupted, if any.
	unborn string

	batch uint64
	runs  map[uint64]*liveRuns
}

// check reads every live segment, finds the end of the log, and fills the
// index.
func (r *recovery) check() error {
	if err := r.chooseLogID(); err != nil {
		return err
	}
	newest, err := r.findNewest()
	if err != nil {
		return err
	}
	for seq := r.found.firstLive; ; seq++ {
		if err := r.checkSegment(seq, newest); err != nil {
			return err
		}
		if seq == newest {
			return nil
		}
	}
}

// findNewest finds the segment where the log ends. It is the last file, or the
// one before if the last is unborn: empty, and not named by a seal.
func (r *recovery) findNewest() (newest uint64, err error) {
	newest = r.files.segments[len(r.files.segments)-1]
	if err := r.examine(newest); err != nil {
		return 0, err
	}
	empty := !r.found.used && !r.tail.torn && r.tail.damaged == ""
	if empty && r.found.firstLive < newest {
		successor := r.header
		if err := r.examine(newest - 1); err != nil {
			return 0, err
		}
		if r.found.sealed {
			return newest, r.examine(newest)
		}
		if r.tail.damaged == "" && r.found.end < int64(successor.prevDurable) {
			r.tail.damaged = fmt.Sprintf("%s, and %s began when everything up to %d was on disk",
				r.found.reason, segmentName(newest), successor.prevDurable)
		}
		if r.tail.damaged != "" {
			return 0, r.corrupt(newest-1, r.found.end, r.tail.damaged)
		}
		r.unborn = r.path(newest)
		newest--
	}
	if r.found.firstLive > newest {
		return 0, r.corrupt(newest, 0, "the segment says that it is not needed itself")
	}
	return newest, nil
}

// examine reads a segment as if it were the last.
func (r *recovery) examine(seq uint64) error {
	if err := r.load(seq); err != nil {
		return err
	}
	r.header = r.image.header
	r.found, _ = r.image.walk(nil)
	r.tail = tail{}
	if !r.found.sealed {
		r.tail = r.image.judge(r.found)
	}
	return nil
}

// checkSegment puts a segment into the index, or says what is wrong with it.
func (r *recovery) checkSegment(seq, newest uint64) error {
	if err := r.load(seq); err != nil {
		return err
	}
	s := newSegment(seq, r.path(seq))
	r.index.segments = append(r.index.segments, s)
	var at int64
	c, err := r.image.walk(func(rec *record) error {
		at = rec.offset
		return r.apply(rec)
	})
	if err != nil {
		return r.corrupt(seq, at, err.Error())
	}
	s.end = c.end
	switch {
	case seq < newest && !c.sealed:
		return r.corrupt(seq, c.end, c.reason+", and the log goes on in the next segment")
	case c.sealed && c.next != seq+1:
		return r.corrupt(seq, c.end-recordHeaderBytes, fmt.Sprintf("the seal names %s", segmentName(c.next)))
	case c.sealed && seq == newest:
		return r.corrupt(seq+1, 0, "the file is missing; the segment before it names it")
	case seq == newest && r.tail.damaged != "":
		return r.corrupt(seq, c.end, r.tail.damaged)
	}
	return nil
}

// load reads a segment file and checks that it is the one its name says.
func (r *recovery) load(seq uint64) error {
	if r.loaded == seq {
		return nil
	}
	r.loaded = 0
	if _, ok := slices.BinarySearch(r.files.segments, seq); !ok {
		return r.corrupt(seq, 0, "the file is missing")
	}
	if err := r.read(seq); err != nil {
		return err
	}
	im, reason := newImage(r.buf)
	switch h := &im.header; {
	case reason != "":
	case h.seq != seq:
		reason = fmt.Sprintf("the segment header is that of %s", segmentName(h.seq))
	case h.logID != r.logID:
		reason = fmt.Sprintf("the segment belongs to log %016x and not to %016x", h.logID, r.logID)
	case int64(len(r.buf)) < int64(h.writtenBytes):
		return r.corrupt(seq, int64(len(r.buf)), fmt.Sprintf("the file has %d bytes and had %d before it was used, so it was cut short",
			len(r.buf), h.writtenBytes))
	}
	if reason != "" {
		return r.corrupt(seq, 0, reason)
	}
	r.image, r.loaded = im, seq
	return nil
}

// read reads a whole file into buf.
func (r *recovery) read(seq uint64) error {
	file, err := r.fs.Open(r.path(seq), vfs.SequentialReadsOption)
	if err != nil {
		return fmt.Errorf("read log segment: %w", err)
	}
	defer file.Close() // only read from
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read log segment: %w", err)
	}
	if info.Size() > maxSegmentBytes {
		return r.corrupt(seq, maxSegmentBytes, "the file is larger than any segment")
	}
	r.buf = slices.Grow(r.buf[:0], int(info.Size()))[:info.Size()]
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, info.Size()), r.buf); err != nil {
		return fmt.Errorf("read log segment %s: %w", r.path(seq), err)
	}
	return nil
}

// chooseLogID takes the id that most segments have, so that a foreign file is
// told from the others; with as many of each, the oldest file's.
func (r *recovery) chooseLogID() error {
	count := make(map[uint64]int)
	for _, seq := range r.files.segments {
		var b [segmentHeaderBytes]byte
		file, err := r.fs.Open(r.path(seq))
		if err != nil {
			return fmt.Errorf("read log segment header: %w", err)
		}
		n, _ := file.ReadAt(b[:], 0) // an error comes again when the file is loaded
		_ = file.Close()
		h, reason := decodeSegmentHeader(b[:n])
		if reason != "" {
			continue
		}
		count[h.logID]++
		if count[h.logID] > count[r.logID] {
			r.logID = h.logID
		}
	}
	return nil
}

func (r *recovery) path(seq uint64) string { return r.fs.PathJoin(r.dir, segmentName(seq)) }

func (r *recovery) corrupt(seq uint64, offset int64, reason string) error {
	return &CorruptError{File: r.path(seq), Offset: offset, Reason: reason}
}
