package wal

import "fmt"

// Cut says that the entries of group up to and including index are not needed
// any more. Index may be above the last entry: the group then continues behind
// it, as after a snapshot. A lower index than before does nothing.
//
// The cut itself reaches the disk with the next Append or Close; a crash before
// that brings the entries back, and a group that was cut beyond its end must be
// cut again after a restart, to where the store says that its snapshot is. Segments that no group needs are dropped here, from
// the oldest on, after a record of it is durable: such a call waits for the
// Append that is running and for one sync of its own. A dropped segment becomes
// a spare or is removed. One group that is never cut keeps everything that is
// newer than its first entry.
func (l *Log) Cut(group, index uint64) error {
	l.mu.Lock()
	l.index.cutTo(l.index.group(group), index)
	droppable := l.index.droppable() > 0
	l.mu.Unlock()
	if !droppable {
		return nil
	}
	dropped, err := l.drop()
	if err == nil {
		err = l.scrap(dropped)
	}
	if err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	return nil
}

// drop takes segments that are not needed out of the log, durably, and leaves
// their files to the caller. Without room for the record it does nothing: the
// next segment's header will say it.
func (l *Log) drop() (dropped []*segment, err error) {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if err := l.usable(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	n := l.index.droppable()
	l.takeCuts()
	room := l.hasRoom(int64(len(l.cuts)+3) * recordHeaderBytes)
	var firstLive uint64
	if n > 0 {
		firstLive = l.index.segments[n].seq
	}
	l.mu.Unlock()
	if n == 0 || !room {
		return nil, nil
	}

	f := l.beginFrame()
	l.frameCuts()
	f.record(kindDrop, 0, 0, firstLive, nil, nil)
	if err := l.commitFrame(); err != nil {
		return nil, err
	}
	l.firstLive = firstLive
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index.cutsSaved(l.cuts)
	return l.index.take(n), nil
}

// scrap gives the files of dropped segments to the spares.
func (l *Log) scrap(dropped []*segment) error {
	if len(dropped) == 0 {
		return nil
	}
	paths := make([]string, len(dropped))
	for i, s := range dropped {
		paths[i] = s.path
	}
	syncErr, err := l.spares.recycle(paths)
	if syncErr != nil {
		// The directory may have lost more than these names.
		return l.fail(syncErr)
	}
	return err
}

// savingCut is a group's cut on its way to the disk.
type savingCut struct {
	group *group
	index uint64
}

// takeCuts collects the cuts that no durable record has. The caller holds mu
// and writeMu.
func (l *Log) takeCuts() {
	l.cuts = l.cuts[:0]
	for _, g := range l.index.unsaved {
		l.cuts = append(l.cuts, savingCut{g, g.cut})
	}
}

// frameCuts adds the collected cuts to the frame.
func (l *Log) frameCuts() {
	for _, c := range l.cuts {
		l.frame.record(kindCut, c.group.id, 0, c.index, nil, nil)
	}
}
