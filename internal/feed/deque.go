package feed

// deque is a queue of events in blocks: it grows without moving what is in it, which could hold up
// appliers.
type deque struct {
	blocks []*block
	// head is the place of the first event in the first block.
	head, count int
	spare       *block
}

const blockEvents = 1024

type block [blockEvents]Event

func (d *deque) at(i int) *Event {
	i += d.head
	return &d.blocks[i/blockEvents][i%blockEvents]
}

func (d *deque) push(e Event) {
	if d.head+d.count == len(d.blocks)*blockEvents {
		b := d.spare
		if d.spare = nil; b == nil {
			b = new(block)
		}
		d.blocks = append(d.blocks, b)
	}
	*d.at(d.count) = e
	d.count++
}

// shift takes the first event out.
func (d *deque) shift() Event {
	slot := d.at(0)
	e := *slot
	*slot = Event{}
	d.count--
	if d.head++; d.head == blockEvents {
		d.spare, d.head = d.blocks[0], 0
		d.blocks[0] = nil
		d.blocks = d.blocks[1:]
	}
	return e
}
