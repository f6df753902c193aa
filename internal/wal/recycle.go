package wal

import (
	"errors"
	"fmt"
)

// recycle takes over files that are no segments any more: as spares while there
// is a place for them, else they are removed. The error of the final sync of the
// directory is apart because nothing about the directory is certain after it.
//
// A segment that was made without a spare is shorter than one. It is kept all the
// same: what it lacks is little, and a log that outran its spares once would
// otherwise do so again and again, with as few files as before.
func (s *spareSet) recycle(paths []string) (syncErr, err error) {
	var errs []error
	var whole, short []string
	for _, path := range paths {
		switch info, err := s.fs.Stat(path); {
		case err != nil:
			errs = append(errs, err)
		case info.Size() == s.segmentBytes:
			whole = append(whole, path)
		case info.Size() < s.segmentBytes:
			short = append(short, path)
		default:
			errs = append(errs, s.fs.Remove(path))
		}
	}
	// Whole ones first: on a full disk they are of use as they are.
	for _, path := range whole {
		errs = append(errs, s.recycleTo(&s.ready, path))
	}
	for _, path := range short {
		errs = append(errs, s.recycleTo(&s.short, path))
	}
	if err := errors.Join(errs...); err != nil {
		return s.syncDir(), fmt.Errorf("recycle log segments: %w", err)
	}
	return s.syncDir(), nil
}

// recycleTo gives a file a spare's name and puts it into a list of the set.
func (s *spareSet) recycleTo(list *[]string, path string) error {
	if !s.hasPlace() {
		return s.fs.Remove(path)
	}
	spare := s.newPath()
	if err := s.fs.Rename(path, spare); err != nil {
		return err
	}
	if !s.add(list, spare) { // a spare may have been made meanwhile
		return s.fs.Remove(spare)
	}
	return nil
}

// add puts a file into a list of the set if there is a place for it.
func (s *spareSet) add(list *[]string, path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.ready)+len(s.short) >= s.keep {
		return false
	}
	*list = append(*list, path)
	s.changed.Broadcast()
	return true
}

// hasPlace says whether the set would keep one more spare.
func (s *spareSet) hasPlace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && len(s.ready)+len(s.short) < s.keep
}
