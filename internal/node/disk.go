package node

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// diskGuard meets a full disk before it happens. The node refuses writes with
// NO_SPACE, and goes on reading, when less is free than the low-water mark and
// what a flush of the store may need: whatever was acknowledged can still be
// flushed. It is asked before every round of the log, because a fast writer
// fills a small disk between two looks. Should something else fill the disk
// further, the ballast file is given back, so that the store is not stopped by
// its own bookkeeping.
type diskGuard struct {
	node  *Node
	sizes diskSizes
	known bool // the file system tells its size

	mu      sync.Mutex // makes one check at a time
	ballast bool

	stopping chan struct{}
	stopOnce sync.Once
	watching sync.WaitGroup
}

// diskSizes are the sizes that depend on the disk.
type diskSizes struct {
	log, logMost, segment, lowWater, ballast int64
	// recycled is how many segments are kept when a cut gives them back.
	recycled int
}

// sizesFor fits the sizes to a disk of total bytes; 0 in the configuration
// means that. A disk of unknown size gets what a large one does.
func sizesFor(total int64, logBytes, lowWater, ballast int64) diskSizes {
	const mib = 1 << 20
	s := diskSizes{log: logBytes, logMost: logBytes, lowWater: lowWater, ballast: ballast}
	if s.log == 0 {
		s.log = clamp(total/4, 8*mib, 1024*mib)
		s.logMost = max(s.log, total/4)
	}
	s.segment = clamp(s.log/32, mib, 64*mib)
	// A memory store's cut gives half of the log back at once; what is not kept has to
	// be written through again. On a small disk it is worth more as room.
	s.recycled = int(clamp(total/100/s.segment, 4, 16))
	if s.lowWater == 0 {
		// The log writes its next segments in the background.
		s.lowWater = 2*s.segment + clamp(total/20, 4*mib, 256*mib)
	}
	if s.ballast == 0 {
		s.ballast = clamp(total/50, mib, 64*mib)
	}
	return s
}

func clamp(v, low, high int64) int64 { return max(low, min(v, high)) }

// diskEvery is how often the disk is looked at.
const diskEvery = 100 * time.Millisecond

// startDiskGuard sizes things to the disk and sets the ballast aside.
func startDiskGuard(n *Node) (*diskGuard, error) {
	g := &diskGuard{node: n, stopping: make(chan struct{})}
	total := int64(1) << 40
	usage, err := n.opts.FS.GetDiskUsage(n.dir.path)
	switch {
	case err == nil:
		g.known = true
		total = int64(usage.TotalBytes)
	case !errors.Is(err, vfs.ErrUnsupported):
		return nil, fmt.Errorf("look at the disk of %s: %w", n.dir.path, err)
	}
	g.sizes = sizesFor(total, n.cfg.Log.MaxBytes, n.cfg.Disk.LowWaterBytes, n.cfg.Disk.BallastBytes)
	if g.known {
		g.check()
	}
	return g, nil
}

// watch looks at the disk until stop.
func (g *diskGuard) watch() {
	if !g.known {
		return
	}
	g.watching.Go(func() {
		ticker := time.NewTicker(diskEvery)
		defer ticker.Stop()
		var handed time.Time
		for {
			select {
			case <-g.stopping:
				return
			case <-ticker.C:
			}
			if g.check() {
				for _, h := range g.node.hosted {
					h.group.Cut() // what it frees may be enough
				}
			}
			if g.node.gate.NoSpace() && time.Since(handed) > handOverEvery {
				g.node.handOver()
				handed = time.Now()
			}
		}
	})
}

// handOverEvery is how often a node without space hands over what it leads.
const handOverEvery = time.Second

// handOver has others lead, who may have space: a leader that can write nothing would keep
// its groups from writing anywhere.
func (n *Node) handOver() {
	for _, h := range n.hosted {
		if h.group.Leads() && !h.group.Alone() {
			n.opts.Logger.Info("handing the lead of a group over, for want of space", "group", h.id)
			h.group.HandOver()
		}
	}
}

func (g *diskGuard) stop() {
	g.stopOnce.Do(func() { close(g.stopping) })
	g.watching.Wait()
}

// free returns the disk's free bytes, or -1 when it does not tell.
func (g *diskGuard) free() int64 {
	if !g.known {
		return -1
	}
	usage, err := g.node.opts.FS.GetDiskUsage(g.node.dir.path)
	if err != nil {
		return -1
	}
	return int64(usage.AvailBytes)
}

// need is how much must be free for what was acknowledged and is not flushed.
func (g *diskGuard) need() int64 {
	n := g.node
	if n.log == nil {
		return 0 // at the start: the log and the store are not open yet
	}
	need := n.log.SizeBytes()
	for _, h := range n.hosted {
		need += h.place.current().FlushBytes()
	}
	return need
}

// room says NO_SPACE when a write should not begin.
func (g *diskGuard) room() error {
	if g.known {
		g.check()
	}
	return g.node.gate.Space()
}

// check moves between taking writes and refusing them, and keeps the ballast. It
// reports whether the disk has just become full.
func (g *diskGuard) check() (became bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	free := g.free()
	if free < 0 {
		return false
	}
	n := g.node
	full, mark := n.gate.NoSpace(), g.sizes.lowWater+g.need()
	switch {
	case !full && free < mark:
		n.gate.SetNoSpace(fmt.Sprintf("%d MiB are free on the disk of %s, and %d MiB are needed (disk.low_water_bytes and what is yet to be flushed): free some; reads go on",
			free>>20, n.dir.path, mark>>20))
		n.swapState(stateServing, stateNoSpace)
		n.opts.Logger.Warn("disk is nearly full: refusing writes", "free_bytes", free, "needed_bytes", mark)
		became = true
	case full && free >= mark+g.sizes.lowWater/16:
		n.gate.SetNoSpace("")
		n.swapState(stateNoSpace, stateServing)
		n.opts.Logger.Info("disk has room again: taking writes", "free_bytes", free)
	}
	switch {
	case free < g.sizes.lowWater/4:
		g.dropBallast()
	case free >= g.sizes.lowWater+2*g.sizes.ballast:
		g.keepBallast()
	}
	return became
}

func (g *diskGuard) dropBallast() {
	err := ignoreMissing(g.node.opts.FS.Remove(g.node.dir.file(ballastFile)))
	if err == nil && g.ballast {
		g.ballast = false
		g.node.opts.Logger.Warn("disk is full: the ballast was given back", "bytes", g.sizes.ballast)
	}
}

// keepBallast writes the ballast file if it is not there: real blocks, because
// a sparse file would hold nothing back.
func (g *diskGuard) keepBallast() {
	if g.ballast {
		return
	}
	fs, name := g.node.opts.FS, g.node.dir.file(ballastFile)
	if info, err := fs.Stat(name); err == nil && info.Size() == g.sizes.ballast {
		g.ballast = true
		return
	}
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		chunk := make([]byte, min(g.sizes.ballast, 1<<20))
		for left := g.sizes.ballast; left > 0 && err == nil; left -= int64(len(chunk)) {
			_, err = f.Write(chunk[:min(left, int64(len(chunk)))])
		}
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		g.node.opts.Logger.Warn("could not set the ballast aside", "err", errors.Join(err, ignoreMissing(fs.Remove(name))))
		return
	}
	g.ballast = true
}
