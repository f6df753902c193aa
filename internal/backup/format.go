package backup

import (
	"fmt"
	"hash/crc32"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/sheafdb/sheaf/internal/store"
)

const (
	magic         = "sheafbak"
	formatVersion = 1
	preambleBytes = len(magic) + 4

	kindHeader  = 1
	kindSection = 2
	kindRecords = 3
	kindEnd     = 4
	kindFile    = 5

	frameHeadBytes = 1 + 4
	sumBytes       = 4
	// frameBytes is where a frame of records ends; a large record makes its frame as large.
	frameBytes = 256 << 10
	// maxFrameBytes bounds what a damaged length can make the reader take for a frame.
	maxFrameBytes = 1 << 30
	// maxSmallBytes bounds the frames that are no records.
	maxSmallBytes = 64 << 10

	sectionBytes = 4 + store.MetaBytes
	endBytes     = len(spaces)*8 + 16
)

// StateFormat numbers the encodings of records, keys and rows in the state. A backup with
// another cannot be restored by this version.
const StateFormat = 2

// MaxGroups bounds the sections.
const MaxGroups = 1024

// spaces are those that are in a backup.
var spaces = [...]store.Space{store.Data, store.Rows, store.Due}

// Has says whether the records of a space are in a backup.
func Has(space store.Space) bool {
	return space == store.Data || space == store.Rows || space == store.Due
}

func spaceIndex(space store.Space) int { return int(space - store.Data) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header says what a backup is of.
type Header struct {
	// StateFormat is set by the Writer.
	StateFormat int `json:"state_format"`
	// Cluster is the name of the cluster, empty if it was a node alone; Node that of the node
	// that made the backup.
	Cluster string `json:"cluster,omitempty"`
	Node    string `json:"node,omitempty"`
	Groups  int    `json:"groups"`
	// Began is when the copy began: what was acknowledged before is in it.
	Began time.Time `json:"began"`
	// Version is that of the program, Store the kind of store that it was copied from.
	Version string `json:"version"`
	Store   string `json:"store"`
}

func (h *Header) validate() error {
	switch {
	case h.StateFormat != StateFormat:
		return fmt.Errorf("its records have format %d and this version of sheaf reads %d: use the version that made it (%s), or one that reads both", h.StateFormat, StateFormat, h.Version)
	case h.Groups < 1 || h.Groups > MaxGroups:
		return fmt.Errorf("%w: it says that it has %d groups", ErrDamaged, h.Groups)
	}
	return nil
}

// Section says what a backup has of one group.
type Section struct {
	Group int
	Meta  store.Meta
	// Counts are those of the records of Data, Rows and Due.
	Counts Counts
	Sum    Sum
}

// Counts are numbers of records.
type Counts struct{ Keys, RequestIDs, Due uint64 }

func (c *Counts) of(space store.Space) *uint64 {
	return [...]*uint64{&c.Keys, &c.RequestIDs, &c.Due}[spaceIndex(space)]
}

// Sum is the sum of the XXH3-128 hashes of records, in any order. It finds what is missing,
// twice or changed; it does not resist somebody who means to deceive it.
type Sum struct{ Hi, Lo uint64 }

// Add adds a record. scratch is memory to use, returned for the next.
func (s *Sum) Add(space store.Space, key, value, scratch []byte) []byte {
	scratch = store.AppendRecord(scratch[:0], space, key, value)
	hash := xxh3.Hash128(scratch)
	lo := s.Lo + hash.Lo
	if lo < s.Lo {
		s.Hi++
	}
	s.Lo = lo
	s.Hi += hash.Hi
	return scratch
}

// Counter counts and sums the records of a group, as a Section says them. Its zero value is
// empty.
type Counter struct {
	Counts  Counts
	Sum     Sum
	scratch []byte
}

// Add counts one record, and leaves those out that are not in a backup.
func (c *Counter) Add(space store.Space, key, value []byte) {
	if Has(space) {
		*c.Counts.of(space)++
		c.scratch = c.Sum.Add(space, key, value, c.scratch)
	}
}
