package peer

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"testing"
)

// numbered is a frame that says which it is.
func numbered(n, size int) []byte {
	frame := make([]byte, size)
	binary.LittleEndian.PutUint64(frame, uint64(n))
	return frame
}

func numberOf(frame []byte) int { return int(binary.LittleEndian.Uint64(frame)) }

func TestFramesOfALaneArriveInOrderAndWhole(t *testing.T) {
	const frames, largeOne = 2000, 1000
	large := randomBytes(16 << 20)
	arrived := make(chan int, frames)
	p := newPair(t, &fakeHandler{frame: func(from uint64, frame []byte) {
		n := numberOf(frame)
		if from != 1 || n == largeOne && !bytes.Equal(frame[8:], large) || n != largeOne && len(frame) != 8+n {
			t.Errorf("frame %d of node %d has %d bytes", n, from, len(frame))
		}
		arrived <- n
	}}, nil, nil)
	for n := range frames {
		if n == largeOne {
			p.client.Send(2, Bulk, [][]byte{numbered(n, 8), large})
			continue
		}
		p.client.Send(2, Bulk, [][]byte{numbered(n, 8+n)})
	}
	for n := range frames {
		if got := get(t, "frame", arrived); got != n {
			t.Fatalf("frame %d came when %d was due", got, n)
		}
	}
	if len(p.lost) > 0 {
		t.Error("something was lost")
	}
}

func TestALaneDoesNotHoldUpTheOther(t *testing.T) {
	bulk, urgent, goOn := make(chan bool, 1), make(chan bool, 1), make(chan bool)
	p := newPair(t, &fakeHandler{frame: func(_ uint64, frame []byte) {
		if len(frame) > 100 {
			bulk <- true
			<-goOn
			return
		}
		urgent <- true
	}}, nil, nil)
	defer close(goOn)
	p.client.Send(2, Bulk, [][]byte{make([]byte, 1<<20)})
	get(t, "the large frame", bulk)
	p.client.Send(2, Urgent, [][]byte{[]byte("beat")})
	get(t, "the urgent frame", urgent)
}

func TestALaneThatIsFullLosesAndSaysSo(t *testing.T) {
	goOn := make(chan bool)
	p := newPair(t, &fakeHandler{frame: func(uint64, []byte) { <-goOn }}, nil, nil)
	defer close(goOn)
	frame := [][]byte{make([]byte, 64<<20)} // the same bytes in each
	for range laneBytes/len(frame[0]) + 2 { // one is with the handler
		p.client.Send(2, Bulk, frame)
	}
	if to := get(t, "that a frame is lost", p.lost); to != 2 {
		t.Errorf("a frame to node %d was lost", to)
	}
}

func TestALaneHoldsNoMoreThanItsBound(t *testing.T) {
	l := newLane()
	frame := [][]byte{make([]byte, 60<<20)}
	fitting := laneBytes / len(frame[0])
	for n := range fitting {
		if !l.put(frame) {
			t.Fatalf("frame %d finds no room", n)
		}
	}
	if l.put(frame) {
		t.Error("a frame more finds room")
	}
	_, taken := l.take()
	if l.put(frame) {
		t.Error("there is room although nothing was written yet")
	}
	l.written(taken)
	if !l.put(frame) {
		t.Error("there is no room although all was written")
	}
	l.forget()
	huge := slices.Repeat(frame, maxFrameBytes/len(frame[0])+1)
	if l.put(huge) {
		t.Error("a frame that nobody would take finds room")
	}
	if l.bytes != 0 {
		t.Errorf("an empty lane counts %d bytes", l.bytes)
	}
}

func TestFramesToNobodyAreLost(t *testing.T) {
	p := newPair(t, &fakeHandler{}, nil, nil)
	p.client.Send(7, Urgent, [][]byte{[]byte("beat")})
	if to := get(t, "that it is lost", p.lost); to != 7 {
		t.Errorf("a frame to node %d was lost", to)
	}
}

func TestALaneIsDialedAgainAndThatIsSaidOnce(t *testing.T) {
	arrived := make(chan int, 1000)
	h := &fakeHandler{frame: func(_ uint64, frame []byte) { arrived <- numberOf(frame) }}
	p := newPair(t, h, nil, nil)
	p.client.Send(2, Urgent, [][]byte{numbered(1, 8)})
	if n := get(t, "the first frame", arrived); n != 1 {
		t.Fatalf("frame %d came first", n)
	}
	p.server.Stop()
	for range 5 { // attempts of both lanes
		get(t, "that frames are lost", p.lost)
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.serve(h, l, nil)
	waitFor(t, "the node is back", func() bool { return p.clientLog.count("node is back") == 1 })
	p.client.Send(2, Urgent, [][]byte{numbered(2, 8)})
	if n := get(t, "the frame after", arrived); n != 2 {
		t.Errorf("frame %d came", n)
	}
	if n := p.clientLog.count("node cannot be reached"); n != 1 {
		t.Errorf("it was said %d times that the node cannot be reached", n)
	}
}

func TestANodeThatHasMovedIsFound(t *testing.T) {
	arrived := make(chan int, 1)
	h := &fakeHandler{frame: func(_ uint64, frame []byte) { arrived <- numberOf(frame) }}
	p := newPair(t, h, nil, nil)
	elsewhere := newPair(t, h, nil, nil)
	elsewhere.client.Close()
	p.server.Stop()
	p.client.Know(2, "n2", elsewhere.addr)
	p.client.Send(2, Urgent, [][]byte{numbered(1, 8)})
	get(t, "the frame", arrived)
}

func TestWhatAnEarlierConnectionHasComesFirst(t *testing.T) {
	arrived, goOn := make(chan int, 10), make(chan bool)
	p := newPair(t, &fakeHandler{frame: func(_ uint64, frame []byte) {
		arrived <- numberOf(frame)
		if numberOf(frame) == 0 {
			<-goOn
		}
	}}, nil, nil)
	p.client.Close() // its lanes would be later ones
	earlier := enterTCP(t, p.addr, forBulk)
	for n := range 3 {
		earlier.out.add(numbered(n, 8))
	}
	if err := earlier.flush(); err != nil {
		t.Fatal(err)
	}
	get(t, "the first frame", arrived)
	later := enterTCP(t, p.addr, forBulk)
	if err := later.send(numbered(100, 8)); err != nil {
		t.Fatal(err)
	}
	mustEnd(t, earlier.raw) // the server knows of both
	if len(arrived) > 0 {
		t.Error("a frame came while the one before it was still at work")
	}
	close(goOn)
	for last := 0; last != 100; {
		n := get(t, "a frame", arrived)
		if n <= last {
			t.Errorf("frame %d came after %d", n, last)
		}
		last = n
	}
}

// Small frames go to the socket directly, until it takes no more; what it takes a part of, and
// what comes behind, goes by the lane's goroutine.
func TestSmallFramesStayInOrderWhenTheOtherSideIsSlow(t *testing.T) {
	const frames = 12_000
	arrived := make(chan int, frames)
	goOn := make(chan struct{})
	p := newPair(t, &fakeHandler{frame: func(_ uint64, frame []byte) {
		n := numberOf(frame)
		if n == 200 {
			<-goOn
		}
		arrived <- n
	}}, nil, nil)
	p.client.Send(2, Urgent, [][]byte{numbered(0, 8)})
	if n := get(t, "the first frame", arrived); n != 0 {
		t.Fatalf("frame %d came first", n)
	}
	l := p.client.nodes[2].lanes[Urgent]
	direct, taken := 0, 0
	const oneByOne = 100 // frames before which the lane has time to rest
	for n := 1; n < frames; n++ {
		p.client.Send(2, Urgent, [][]byte{numbered(n, 8+n%directBytes)})
		l.mu.Lock()
		if len(l.frames) == 0 {
			direct++
		} else {
			taken++
		}
		l.mu.Unlock()
		if n < oneByOne {
			if got := get(t, "a frame", arrived); got != n {
				t.Fatalf("frame %d came as number %d", got, n)
			}
		}
		if n == frames/2 {
			close(goOn)
		}
	}
	for n := oneByOne; n < frames; n++ {
		if got := get(t, "a frame", arrived); got != n {
			t.Fatalf("frame %d came as number %d", got, n)
		}
	}
	t.Logf("%d frames were written directly or taken by then, %d waited", direct, taken)
	if direct == 0 || taken == 0 {
		t.Error("one of the ways was not taken: it proves nothing")
	}
}
