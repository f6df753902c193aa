package rpc

import (
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/wire"
)

// watch sends what is committed for as long as the client reads. A client that does not holds up
// nobody: its frame waits in the stream's window, and the feed goes on without it.
func (s *Server) watch(c *call) error {
	msg, err := s.receive(c)
	if err != nil {
		return err
	}
	var in sheafv1.WatchRequest
	if err := proto.Unmarshal(msg, &in); err != nil {
		return sheaf.Invalid("request", "is not a WatchRequest: %s", err)
	}
	s.letGo(c)
	watch, err := c.core.Watch(c.stream.Context(), coordinator.WatchRequest{
		Prefix: in.Prefix, Token: in.Token, Oldest: in.Oldest, Progress: time.Duration(in.ProgressMs) * time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer watch.Close()
	for {
		frame, err := watch.Next(c.stream.Context())
		if err != nil {
			return err
		}
		if err := c.stream.SendMsg(&encoded{encodeFrame(&frame)}); err != nil {
			return err
		}
	}
}

// Field numbers of sheaf.v1.WatchResponse, whose entries are encoded as those of a batch are, and
// of Change.
const (
	watchToken   protowire.Number = 1
	watchVersion protowire.Number = 3
	watchMore    protowire.Number = 4
	watchAfter   protowire.Number = 5
	watchFrame   protowire.Number = 6

	changeExpired protowire.Number = 7
)

// frameOverheadBytes is more than what a frame has beside its entries and tokens.
const frameOverheadBytes = 64

// encodeFrame makes a WatchResponse in a buffer that gRPC uses again.
func encodeFrame(f *coordinator.Frame) mem.Buffer {
	entries := f.Entries.Raw()
	if f.Expired {
		entries = markExpired(f.Entries)
	}
	pool := mem.DefaultBufferPool()
	buffer := pool.Get(len(entries) + len(f.Token) + len(f.After) + frameOverheadBytes)
	out := (*buffer)[:0]
	if f.Token != "" {
		out = protowire.AppendString(protowire.AppendTag(out, watchToken, protowire.BytesType), f.Token)
	}
	out = append(out, entries...)
	if f.Version > 0 {
		out = protowire.AppendVarint(protowire.AppendTag(out, watchVersion, protowire.VarintType), f.Version)
	}
	if f.More {
		out = protowire.AppendVarint(protowire.AppendTag(out, watchMore, protowire.VarintType), 1)
	}
	if f.After != "" {
		out = protowire.AppendString(protowire.AppendTag(out, watchAfter, protowire.BytesType), f.After)
	}
	if f.Number > 0 {
		out = protowire.AppendVarint(protowire.AppendTag(out, watchFrame, protowire.VarintType), uint64(f.Number))
	}
	*buffer = out
	return mem.NewBuffer(buffer, pool)
}

// markExpired encodes deletes as those of keys whose time was over.
func markExpired(entries wire.Entries) (out []byte) {
	var one []byte
	for _, entry := range entries.All() {
		one = protowire.AppendTag(wire.AppendEntryBody(one[:0], &entry), changeExpired, protowire.VarintType)
		one = protowire.AppendVarint(one, 1)
		out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), one)
	}
	return out
}
