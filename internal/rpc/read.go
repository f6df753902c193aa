package rpc

import (
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

func (s *Server) getAll(c *call) error {
	msg, err := s.receive(c)
	if err != nil {
		return err
	}
	at := time.Now()
	var in sheafv1.GetAllRequest
	if err := wire.CheckRepeated(msg, 1, "keys", s.cfg.Limits); err != nil {
		return err
	}
	if err := proto.Unmarshal(msg, &in); err != nil {
		return sheaf.Invalid("request", "is not a GetAllRequest: %s", err)
	}
	level, err := wire.LevelOf(uint64(in.Consistency))
	if err != nil {
		return err
	}
	at = c.stages.Since(telemetry.Decode, at)
	values, err := c.core.GetAll(c.stream.Context(), coordinator.GetAll{Keys: in.Keys, Consistency: level, After: in.After})
	if err != nil {
		return err
	}
	defer s.cfg.Gate.Release(values.Reserved)
	c.tellRoute(c.core.Groups(), false)
	at = c.stages.Since(telemetry.Apply, at)
	out := &sheafv1.GetAllResponse{Etag: string(values.ETag), Entries: make([]*sheafv1.Item, len(values.Items))}
	items := make([]sheafv1.Item, len(values.Items))
	for i, item := range values.Items {
		out.Entries[i] = setItem(&items[i], item)
	}
	err = c.stream.SendMsg(out)
	c.stages.Since(telemetry.Respond, at)
	return err
}

func setItem(out *sheafv1.Item, item sheaf.Item) *sheafv1.Item {
	out.Key, out.Value, out.Version, out.Found, out.TypeUrl = item.Key, item.Value, item.Version, item.Found, item.TypeURL
	return out
}

// A page of a scan ends at whichever comes first.
const (
	pageItems = 1000
	pageBytes = 256 << 10
)

func (s *Server) scan(c *call) error {
	msg, err := s.receive(c)
	if err != nil {
		return err
	}
	var in sheafv1.ScanRequest
	if err := proto.Unmarshal(msg, &in); err != nil {
		return sheaf.Invalid("request", "is not a ScanRequest: %s", err)
	}
	scanner, err := c.core.Scan(c.stream.Context(), in.Prefix, in.Start)
	if err != nil {
		return err
	}
	defer scanner.Close() //nolint:errcheck // reading is over
	if err := c.stream.SetHeader(metadata.Pairs("sheaf-watch-token", scanner.Token())); err != nil {
		return err
	}
	page, size := &sheafv1.ScanResponse{}, 0
	send := func() error {
		s.cfg.Gate.Hold(int64(size)) // in memory until the client has taken it
		defer s.cfg.Gate.Release(int64(size))
		err := c.stream.SendMsg(page)
		page, size = &sheafv1.ScanResponse{}, 0
		return err
	}
	for n := uint64(0); (in.Limit == 0 || n < in.Limit) && scanner.Next(); n++ {
		item := scanner.Item()
		item.Key = append([]byte(nil), item.Key...)
		item.Value = append([]byte(nil), item.Value...)
		page.Entries = append(page.Entries, setItem(&sheafv1.Item{}, item))
		if n%pageItems == 0 && s.cfg.Gate.Draining() {
			return s.cfg.Gate.Read()
		}
		if size += len(item.Key) + len(item.Value); len(page.Entries) == pageItems || size >= pageBytes {
			if err := send(); err != nil {
				return err
			}
		}
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	if len(page.Entries) > 0 {
		return send()
	}
	return nil
}
