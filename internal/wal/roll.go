package wal

import (
	"crypto/rand"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// roll goes on to the next segment, which gets room for at least the given
// bytes of records. The package comment has the order of the steps and why.
func (l *Log) roll(bytes int64) error {
	l.mu.Lock()
	n := l.index.droppable()
	firstLive := l.index.segments[n].seq
	l.mu.Unlock()

	next, err := l.begin(l.active.seq+1, bytes, firstLive)
	if err != nil {
		return err
	}
	l.beginFrame().record(kindSeal, 0, 0, next.seq, nil, nil)
	if err := l.commitFrame(); err != nil {
		return err
	}
	if err := l.active.file.Close(); err != nil {
		return l.fail(fmt.Errorf("close %s: %w", l.active.path, err))
	}
	l.mu.Lock()
	l.active = next
	l.firstLive = firstLive
	l.index.segments = append(l.index.segments, next.segment)
	l.index.cutsSaved(l.cuts)
	dropped := l.index.take(n)
	l.mu.Unlock()

	l.spares.ask()
	if err := l.scrap(dropped); err != nil {
		l.logger.Warn("cannot remove log segments", "err", err)
	}
	return nil
}

// begin makes a segment file with header and preamble, durable under its name,
// and leaves in l.cuts what the preamble saves. An error is ErrNoSpace, with
// nothing changed, or final.
func (l *Log) begin(seq uint64, bytes int64, firstLive uint64) (activeSegment, error) {
	l.mu.Lock()
	preambleEnd := segmentHeaderBytes + l.index.preambleBytes()
	capacity := max(l.cfg.SegmentBytes, preambleEnd+bytes+l.index.reserveBytes())
	l.mu.Unlock()
	if capacity > maxSegmentBytes {
		return activeSegment{}, fmt.Errorf("%w: a segment of %d bytes is more than %d", ErrInvalid, capacity, int64(maxSegmentBytes))
	}

	path, file, err := l.spares.take(capacity)
	if err != nil {
		return activeSegment{}, l.noSpace("make log segment", err)
	}
	h := segmentHeader{
		seq: seq, logID: l.logID, nonce: randomUint64(), firstLive: firstLive,
		writtenBytes: uint32(capacity), capacityBytes: uint32(capacity),
		preambleEnd: uint32(preambleEnd), prevDurable: uint32(l.active.durable),
	}
	vecs := l.framePreamble(&h)
	err = l.writer.write(file, file.Fd(), vecs, 0)
	l.frame.release()
	if err == nil {
		err = file.SyncData()
	}
	name := l.fs.PathJoin(l.dir, segmentName(seq))
	if err == nil {
		err = l.fs.Rename(path, name)
	}
	if err != nil {
		l.spares.discard(path, file)
		return activeSegment{}, l.noSpace("begin log segment", err)
	}
	if err := l.spares.syncDir(); err != nil {
		return activeSegment{}, l.fail(err)
	}
	s := newSegment(seq, name)
	s.end = preambleEnd
	return openedAt(s, h, file, preambleEnd, preambleEnd), nil
}

// framePreamble lays out header, preamble and terminator of a segment. Cuts
// that arrive later are not in it and stay unsaved.
func (l *Log) framePreamble(h *segmentHeader) [][]byte {
	var header [segmentHeaderBytes]byte
	h.encode(header[:])
	l.frame.begin(h.seed(), 0, 0)
	l.frame.raw(header[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts = l.cuts[:0]
	for _, g := range l.index.order {
		l.frame.group(g)
		l.cuts = append(l.cuts, savingCut{g, g.cut})
	}
	l.frame.terminate()
	vecs, _ := l.frame.finish()
	return vecs
}

// openedAt is the active segment whose records end at end, all durable.
func openedAt(s *segment, h segmentHeader, file vfs.File, end, claimed int64) activeSegment {
	return activeSegment{
		segment: s, header: h, seed: h.seed(), file: file, fd: file.Fd(),
		offset: end, durable: end, claimed: claimed,
	}
}

// noSpace turns a full disk into ErrNoSpace and anything else into the end of
// the log.
func (l *Log) noSpace(doing string, err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return l.fail(fmt.Errorf("%s: %w", doing, err))
}

func randomUint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return le.Uint64(b[:])
}
