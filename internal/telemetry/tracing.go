package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// tracerName is the instrumentation scope of Sheaf's own spans.
const tracerName = "github.com/sheafdb/sheaf"

// tracing is set by SetupTracing when traces have somewhere to go.
var tracing atomic.Bool

// SetupTracing sends traces by OTLP over gRPC, as the standard environment
// variables say (opentelemetry.io/docs/specs/otel/configuration). When none of
// them names an endpoint, nothing is built. The caller must call shutdown, which
// sends what is waiting.
func SetupTracing(ctx context.Context, version string) (shutdown func(context.Context) error, err error) {
	if !tracingConfigured(os.Getenv) {
		return func(context.Context) error { return nil }, nil
	}
	if err := checkProtocol(os.Getenv); err != nil {
		return nil, err
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("set up tracing: %w", err)
	}
	// The environment comes last: OTEL_SERVICE_NAME overrides the name.
	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(
			attribute.String("service.name", "sheaf"),
			attribute.String("service.version", version),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("set up tracing: describe this process: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
		propagation.TraceContext{}, propagation.Baggage{}))
	tracing.Store(true)
	return func(ctx context.Context) error {
		tracing.Store(false)
		return provider.Shutdown(ctx)
	}, nil
}

func tracingConfigured(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// checkProtocol refuses what this exporter would silently do otherwise.
func checkProtocol(getenv func(string) string) error {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch protocol := getenv(name); protocol {
		case "":
			continue
		case "grpc":
			return nil
		default:
			return fmt.Errorf("set up tracing: %s is %q: only grpc is supported", name, protocol)
		}
	}
	return nil
}

// StartHTTPSpan starts the span of one HTTP request, a child of the caller's if
// its headers name one. Without tracing it returns ctx and a span that does
// nothing. The caller must End the span.
func StartHTTPSpan(ctx context.Context, name string, header http.Header) (context.Context, trace.Span) {
	if !tracing.Load() {
		return ctx, trace.SpanFromContext(context.Background())
	}
	ctx = otel.GetTextMapPropagator().Extract(ctx, propagation.HeaderCarrier(header))
	return otel.Tracer(tracerName).Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
}

// RecordStages adds a child span per stage to the span in ctx, if that is being
// recorded. The stages were measured as durations, so they are laid end to end
// before end.
func RecordStages(ctx context.Context, stages *Stages, end time.Time) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return
	}
	var total time.Duration
	stages.Each(func(_ Stage, d time.Duration) { total += d })
	tracer := parent.TracerProvider().Tracer(tracerName)
	at := end.Add(-total)
	stages.Each(func(stage Stage, d time.Duration) {
		_, span := tracer.Start(ctx, stage.String(), trace.WithTimestamp(at))
		at = at.Add(d)
		span.End(trace.WithTimestamp(at))
	})
}
