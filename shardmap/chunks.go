package shardmap

// chunkList has the chunks of one class that were taken back.
type chunkList struct {
	free     [][]byte // the last is used first
	returned [][]byte // those whose pages the system has
	// idle is how many of free, from its beginning, nobody has needed since the last
	// look.
	idle int
}

func (l *chunkList) take() (data []byte, ok bool) {
	data, ok = pop(&l.free)
	l.idle = min(l.idle, len(l.free))
	return data, ok
}

func pop(chunks *[][]byte) (data []byte, ok bool) {
	last := len(*chunks) - 1
	if last < 0 {
		return nil, false
	}
	data = (*chunks)[last]
	*chunks = (*chunks)[:last]
	return data, true
}

// giveBackIdle returns the pages of the chunks that were not needed while twice the map was
// taken back: those of a class that the map has outgrown. A map under a snapshot takes
// chunks and frees them when it ends; to give these back every time would break its huge
// pages up, and every record after that would wait for a page of its own.
func (m *allocator) giveBackIdle() {
	for c := range m.chunks {
		l := &m.chunks[c]
		for range l.idle {
			if !m.giveBack(c) {
				break
			}
		}
		l.idle = len(l.free)
	}
	m.takenBack = 0
}

// giveBack returns the pages of the chunk of a class that has been free for longest.
func (m *allocator) giveBack(c int) bool {
	l := &m.chunks[c]
	if len(l.free) == 0 || !returnSystem(l.free[0]) {
		return false
	}
	size := int64(len(l.free[0]))
	l.returned = append(l.returned, l.free[0])
	l.free[0] = nil
	l.free = l.free[1:]
	l.idle = max(0, l.idle-1)
	m.unused -= size
	m.absentBytes += size
	return true
}
