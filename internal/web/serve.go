package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// face is this face's name in metrics.
const face = "http"

// ServeHTTP carries one request: route, serve, answer an error, count.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{
		w: w, r: r, control: http.NewResponseController(w),
		gate: a.cfg.Gate, ctx: r.Context(), start: time.Now(),
	}
	defer func() { x.release(x.reserved) }()
	x.arm()

	found, key, allow, err := route(r)
	if allow != "" {
		w.Header().Set("Allow", allow)
	}
	x.endpoint, x.key = found, key
	ctx, span := telemetry.StartHTTPSpan(x.ctx, "http "+found.name, r.Header)
	defer span.End()
	x.ctx = ctx
	if err == nil {
		err = a.guarded(x)
	}
	a.observe(x, err)
	if err != nil {
		a.answerError(x, err)
	}
}

// guarded calls the endpoint and turns a panic into a defect of ours, so that
// the connection and the process live on.
func (a *api) guarded(x *exchange) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &sheaf.Error{
				Code: sheaf.Internal, Detail: "the request met a defect, which the node's log describes",
				Err: fmt.Errorf("panic: %v\n%s", cause, debug.Stack()),
			}
		}
	}()
	cancel, err := x.ownDeadline()
	defer cancel()
	if err != nil {
		return err
	}
	return x.endpoint.serve(a, x)
}

// answerError is where every error of this face ends. Defects and damage go to
// the log as well, because only the log gets their causes.
func (a *api) answerError(x *exchange, err error) {
	e := sheaf.AsError(err)
	if e.Code == sheaf.Internal || e.Code == sheaf.Corruption {
		a.cfg.Logger.Error("request failed", "method", x.endpoint.name, "err", err)
	}
	if errors.As(err, &told{}) {
		return
	}
	if x.answered {
		// Half an answer must not look like a whole one: cut the connection.
		panic(http.ErrAbortHandler)
	}
	writeProblem(x, e)
}

// observe counts the request.
func (a *api) observe(x *exchange, err error) {
	reason := ""
	if err != nil {
		reason = string(sheaf.CodeOf(err))
	}
	now := time.Now()
	took := now.Sub(x.start)
	a.cfg.Metrics.ObserveRequest(face, x.endpoint.name, reason, took)
	switch x.endpoint.name {
	case "putall", "deleteall", "put", "delete":
		sample := x.batch
		sample.Face, sample.Reason, sample.Latency, sample.Stages = face, reason, took, &x.stages
		a.cfg.Metrics.ObservePutAll(sample)
	}
	telemetry.RecordStages(x.ctx, &x.stages, now)
	a.cfg.Logger.LogAttrs(x.ctx, slog.LevelDebug, "request served",
		slog.String("method", x.endpoint.name), slog.String("reason", reason), slog.Float64("took_ms", float64(took.Microseconds())/1000))
}
