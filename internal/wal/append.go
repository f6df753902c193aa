package wal

import "fmt"

// Append writes entries and then hard states, and returns when all of them are
// on disk. Within a group indexes are consecutive; one that is not above the
// last replaces the log from there, as raft does. An entry that is already cut
// is ignored. To continue a group after a gap, cut it up to the gap first.
//
// Entries come before hard states so that after a crash in the middle no
// commit index points beyond the entries.
//
// ErrNoSpace and ErrInvalid mean that nothing was written and the log stays
// usable. Any other error is final: see ErrFailed.
func (l *Log) Append(entries []Entry, states []HardState) error {
	if len(entries) == 0 && len(states) == 0 {
		return nil
	}
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if err := l.append(entries, states); err != nil {
		return fmt.Errorf("append to log: %w", err)
	}
	return nil
}

func (l *Log) append(entries []Entry, states []HardState) error {
	if err := l.usable(); err != nil {
		return err
	}
	bytes, fits, err := l.admit(entries, states)
	if err != nil {
		return err
	}
	if !fits {
		if err := l.roll(bytes); err != nil {
			return err
		}
		// The preamble of the new segment has every cut.
		l.cuts = l.cuts[:0]
	}

	f := l.beginFrame()
	l.frameCuts()
	for i := range entries {
		e := &entries[i]
		f.record(kindEntry, e.Group, e.Term, e.Index, e.Head, e.Body)
	}
	for _, s := range states {
		f.hardState(s)
	}
	if err := l.commitFrame(); err != nil {
		return err
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.touched {
		l.index.publish(g)
	}
	for _, s := range states {
		l.index.group(s.Group).state = s
	}
	l.index.cutsSaved(l.cuts)
	return nil
}

// admit checks a batch against the log. It returns the bytes of its records
// and whether they fit the active segment together with the cuts that are not
// yet saved, which it takes into l.cuts.
func (l *Log) admit(entries []Entry, states []HardState) (bytes int64, fits bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batch++
	l.touched = l.touched[:0]
	var g *group
	for i := range entries {
		e := &entries[i]
		if g == nil || g.id != e.Group {
			g = l.index.group(e.Group)
		}
		touched, err := l.index.check(g, l.batch, e.Index)
		if err != nil {
			return 0, false, err
		}
		if touched {
			l.touched = append(l.touched, g)
		}
		payload := int64(len(e.Head)) + int64(len(e.Body))
		if payload > maxPayloadBytes {
			return 0, false, fmt.Errorf("%w: group %d: entry %d has %d bytes, more than %d",
				ErrInvalid, e.Group, e.Index, payload, maxPayloadBytes)
		}
		bytes += recordHeaderBytes + padded(payload)
	}
	for _, s := range states {
		l.index.group(s.Group)
		bytes += recordHeaderBytes + hardStatePayloadBytes
	}
	if bytes > maxAppendBytes {
		return 0, false, fmt.Errorf("%w: %d bytes at once are more than %d", ErrInvalid, bytes, maxAppendBytes)
	}
	l.takeCuts()
	total := bytes + int64(len(l.cuts))*recordHeaderBytes
	return bytes, l.hasRoom(total + l.index.reserveBytes()), nil
}

// MarkIdle writes a record that tells up to where the log is durable, unless
// one does already, and does not sync. Call it when nothing is queued: until
// a later record or this one says so, damage to the last Append looks like the
// trace of a crash. It needs no space; without room in the segment it does
// nothing, since the seal is about to say the same.
func (l *Log) MarkIdle() error {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	err := l.usable()
	if err == nil {
		err = l.mark()
	}
	if err != nil {
		return fmt.Errorf("mark log: %w", err)
	}
	return nil
}

// mark writes a mark if it is of use. The caller holds writeMu.
func (l *Log) mark() error {
	l.mu.Lock()
	room := l.hasRoom(recordHeaderBytes + l.index.reserveBytes())
	l.mu.Unlock()
	if !room || l.active.claimed >= l.active.durable {
		return nil
	}
	l.beginFrame().record(kindMark, 0, 0, 0, nil, nil)
	return l.writeFrame()
}

// hasRoom says whether the active segment has the given bytes left.
func (l *Log) hasRoom(bytes int64) bool {
	return l.active.offset+bytes <= int64(l.active.header.capacityBytes)
}

// beginFrame starts a write at the end of the log. The caller holds writeMu,
// adds records, and calls commitFrame or writeFrame.
func (l *Log) beginFrame() *frame {
	l.frame.begin(l.active.seed, l.active.offset, l.active.durable)
	return &l.frame
}

// commitFrame writes the frame and makes it durable.
func (l *Log) commitFrame() error {
	if err := l.writeFrame(); err != nil {
		return err
	}
	if err := l.active.file.SyncData(); err != nil {
		return l.fail(fmt.Errorf("sync %s: %w", l.active.path, err))
	}
	l.active.durable = l.active.offset
	return nil
}

// writeFrame writes the frame with a terminator behind it, which the next
// frame overwrites.
func (l *Log) writeFrame() error {
	l.frame.terminate()
	vecs, n := l.frame.finish()
	err := l.writer.write(l.active.file, l.active.fd, vecs, l.active.offset)
	l.frame.release()
	if err != nil {
		return l.fail(fmt.Errorf("write %s: %w", l.active.path, err))
	}
	l.active.offset += n
	l.active.claimed = max(l.active.claimed, l.active.durable)
	l.mu.Lock()
	l.active.end = l.active.offset
	l.mu.Unlock()
	return nil
}
