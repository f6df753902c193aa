package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// answer sends a line for each batch, in their order, and one that says that these are all. An
// error means that the client takes no more; the batches are then waited for all the same.
func (im *lines) answer() error {
	out := stream{x: im.x, push: true}
	batches, entries, failed := 0, 0, 0
	for b := range im.queue {
		answer, refused := coordinator.Answer{}, b.refused
		if refused == nil {
			answer, refused = b.flight.Wait()
		}
		if b.size > 0 {
			im.flying.leave(im.x, b.size)
		}
		im.observe(b, refused)
		if batches++; refused == nil {
			entries += b.entries
		} else {
			failed++
		}
		im.header()
		out.out = appendImported(out.out, b, answer, refused)
		out.spill(0)
		im.unread.Store(out.err != nil)
	}
	im.header()
	out.out = append(out.out, `{"done":true,"batches":`...)
	out.out = strconv.AppendInt(out.out, int64(batches), 10)
	out.out = strconv.AppendInt(append(out.out, `,"entries":`...), int64(entries), 10)
	out.out = strconv.AppendInt(append(out.out, `,"failed":`...), int64(failed), 10)
	out.out = append(out.out, "}\n"...)
	out.spill(0)
	return out.err
}

// header sends the header with the first line: not before the body is being read, for which a
// client may wait.
func (im *lines) header() {
	if im.x.answered {
		return
	}
	header := im.x.w.Header()
	header.Set("Content-Type", scanFormat)
	header.Set("X-Content-Type-Options", "nosniff")
	im.x.status(http.StatusOK)
}

// appendImported appends the line of one batch.
func appendImported(dst []byte, b *imported, answer coordinator.Answer, refused error) []byte {
	dst = strconv.AppendInt(append(dst, `{"batch":`...), int64(b.number), 10)
	if b.entries > 0 {
		dst = strconv.AppendInt(append(dst, `,"entries":`...), int64(b.entries), 10)
	}
	if refused != nil {
		dst = append(append(dst, `,"error":`...), encodeProblem(problemOf(sheaf.AsError(refused)))...)
		return append(dst, "}\n"...)
	}
	at := len(dst)
	dst = appendAnswer(dst, answer)
	dst[at] = ',' // instead of the brace that it begins with
	return dst
}

// observe counts a batch as putall does.
func (im *lines) observe(b *imported, refused error) {
	sample := telemetry.PutAllSample{
		Face: face, Consistency: im.level.String(), Latency: time.Since(b.began),
		Entries: b.entries, Bytes: len(b.flight.Request.Entries.Raw()), Stages: &b.flight.Stages,
	}
	if refused != nil {
		sample.Reason = string(sheaf.CodeOf(refused))
		if sheaf.CodeOf(refused) == sheaf.Internal {
			im.a.cfg.Logger.Error("request failed", "method", im.x.endpoint.name, "err", refused)
		}
	}
	im.a.cfg.Metrics.ObservePutAll(sample)
}
