package wal

// EndIndex returns the index of the newest entry that group ever had in this
// log, also when it has been cut; 0 for a group that the log does not know.
func (l *Log) EndIndex(group uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.index.groups[group]; g != nil {
		return g.last
	}
	return 0
}
