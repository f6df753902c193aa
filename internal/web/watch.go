package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/document"
)

// eventStream is the media type of server-sent events (the HTML standard, section 9.2).
const eventStream = "text/event-stream"

// lastEventID is the header in which a reader that connects again says how far it is.
const lastEventID = "Last-Event-ID"

// maxProgressMS bounds how far apart marks may be: proxies cut connections that are silent.
const maxProgressMS = 60 * 60 * 1000

// watch serves GET /v1/watch: one event per committed batch, whose ID is the token to go on from.
// A large batch comes in several, of which the last alone has an ID. Marks of progress are events
// without data, which a reader's EventSource only remembers the ID of. An error amid the stream is
// an event of type error; its data is the problem document.
func (a *api) watch(x *exchange) error {
	q, err := parseQuery(x.r.URL.RawQuery, "prefix", "prefix_b64", "token", "oldest", "progress_ms")
	if err != nil {
		return err
	}
	req, err := watchRequest(q, x.r.Header)
	if err != nil {
		return err
	}
	watch, err := a.cfg.Coordinator.Watch(x.ctx, req)
	if err != nil {
		return err
	}
	defer watch.Close()
	header := x.w.Header()
	header.Set("Content-Type", eventStream)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	x.status(http.StatusOK)
	out := stream{x: x, push: true}
	for x.r.Method != http.MethodHead {
		frame, err := watch.Next(x.ctx)
		if err != nil {
			return endWatch(&out, sheaf.AsError(err))
		}
		out.frame(&frame)
		if out.spill(0); out.err != nil {
			return nil // the client is gone
		}
		x.rest()
	}
	return nil
}

func watchRequest(q query, header http.Header) (req coordinator.WatchRequest, err error) {
	if req.Prefix, err = q.bytes("prefix"); err != nil {
		return req, err
	}
	req.Token = q["token"]
	if last := header.Get(lastEventID); last != "" {
		req.Token = last // of a reader that connects again, to the address it began with
	}
	switch text, given := q["oldest"]; {
	case !given || text == "false":
	case text == "true" || text == "":
		req.Oldest = header.Get(lastEventID) == ""
	default:
		return req, sheaf.Invalid("oldest", "is %q: it must be true or false", document.Clip(text))
	}
	ms, err := q.uint("progress_ms")
	if err == nil && ms > maxProgressMS {
		err = sheaf.Invalid("progress_ms", "is %d: at most %d is allowed", ms, maxProgressMS)
	}
	req.Progress = time.Duration(ms) * time.Millisecond
	return req, err
}

// frame writes a frame of a watch.
func (s *stream) frame(f *coordinator.Frame) {
	if f.Token != "" {
		s.raw("id: ")
		s.raw(f.Token)
		s.raw("\n")
	}
	if f.Entries.Len() > 0 {
		s.raw("event: batch\ndata: {")
		if f.Version > 0 {
			s.out = strconv.AppendUint(append(s.out, `"version":"`...), f.Version, 10)
			s.raw(`",`)
		}
		s.raw(`"entries":[`)
		s.changes(f)
		s.raw("]")
		if f.More {
			s.raw(`,"more":true`)
		}
		if f.Number > 0 {
			s.out = strconv.AppendUint(append(s.out, `,"frame":`...), uint64(f.Number), 10)
		}
		if f.After != "" {
			s.raw(`,"after":"`)
			s.raw(f.After)
			s.raw(`"`)
		}
		s.raw("}\n")
	}
	s.raw("\n")
}

// changes writes the entries of a frame.
func (s *stream) changes(f *coordinator.Frame) {
	for i, entry := range f.Entries.All() {
		if i > 0 {
			s.raw(",")
		}
		s.raw(`{"`)
		s.bytes("key", entry.Key)
		if entry.Delete {
			s.raw(`,"delete":true`)
			if f.Expired {
				s.raw(`,"expired":true`)
			}
			s.raw("}")
			continue
		}
		s.raw(`,"`)
		s.bytes("value", entry.Value)
		if entry.TTLMS != 0 {
			s.out = strconv.AppendInt(append(s.out, `,"ttl_ms":"`...), entry.TTLMS, 10)
			s.raw(`"`)
		}
		if len(entry.TypeURL) > 0 {
			s.out = appendString(append(s.out, `,"type_url":`...), string(entry.TypeURL))
		}
		s.raw("}")
	}
}

// endWatch says why a watch ends.
func endWatch(out *stream, e *sheaf.Error) error {
	out.raw("event: error\ndata: ")
	out.raw(string(encodeProblem(problemOf(e))))
	out.raw("\n\n")
	out.spill(0)
	return told{e}
}
