package client

import (
	"math"
	"time"
	"unsafe"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// What an entry and a request need besides keys, values and type URLs, at most:
// tags and lengths. They size the buffer, so that a batch is one allocation.
const (
	entryOverheadBytes       = 1 + 5 + 1 + 5 + 1 + 5 + 2 // tag and length of entry, key and value; delete
	entryOptionOverheadBytes = 1 + 5 + 1 + 10 + 1 + 10   // type_url, ttl_ms, if_version
	requestOverheadBytes     = 64
)

// maxRequestBytes is the largest message that gRPC can frame on every platform.
const maxRequestBytes = math.MaxInt32

// encode returns the PutAllRequest of a batch in a slice from requests. Entries
// are written straight into it, and nothing of them is kept. The result views
// no argument.
func encode(id sheaf.RequestID, entries []sheaf.Entry, o *writeOptions) (*[]byte, *sheaf.Error) {
	size := requestOverheadBytes + len(id) + len(o.ifMatch) + len(o.ifNoneMatch)
	for i := range entries {
		e := &entries[i]
		size += entryOverheadBytes + len(e.Key) + len(e.Value)
		if e.TypeURL != "" || e.TTL != 0 || e.IfVersion != nil || o.ttl != 0 {
			size += entryOptionOverheadBytes + len(e.TypeURL)
		}
		if size > maxRequestBytes {
			return nil, sheaf.Errorf(sheaf.BatchTooLarge,
				"entries[0] to entries[%d] already need more than the %d bytes of the largest message: split the batch", i, maxRequestBytes)
		}
	}
	// Field 1, then the entries, then the rest: the request is made by two
	// calls without entries, so that they are never copied from one buffer to
	// another.
	request := requests.Get(size)
	buf := wire.AppendPutAll((*request)[:0], &wire.PutAll{RequestID: string(id)}, nil)
	for i := range entries {
		buf = appendEntry(buf, &entries[i], o.ttl)
	}
	*request = wire.AppendPutAll(buf, &wire.PutAll{
		Consistency: o.level,
		IfMatch:     string(o.ifMatch),
		IfNoneMatch: string(o.ifNoneMatch),
		After:       o.after,
	}, nil)
	return request, nil
}

// appendEntry appends an entry, with a time to live for a put that has none of its own.
func appendEntry(dst []byte, e *sheaf.Entry, ttl time.Duration) []byte {
	entry := wire.Entry{Key: e.Key, Value: e.Value, Delete: e.Delete, TTLMS: milliseconds(e.TTL)}
	if e.TypeURL != "" {
		// The wire form, which is only read, holds it as bytes.
		entry.TypeURL = unsafe.Slice(unsafe.StringData(e.TypeURL), len(e.TypeURL))
	}
	if e.TTL == 0 && !e.Delete {
		entry.TTLMS = milliseconds(ttl)
	}
	if e.IfVersion != nil {
		entry.IfVersion, entry.HasIfVersion = *e.IfVersion, true
	}
	return wire.AppendEntry(dst, &entry)
}

// milliseconds rounds away from zero: a positive time to live must not become
// 0, which is for ever, and neither may a negative one, which is refused.
func milliseconds(d time.Duration) int64 {
	ms := d.Milliseconds()
	switch rest := d % time.Millisecond; {
	case rest > 0:
		ms++
	case rest < 0:
		ms--
	}
	return ms
}
