package telemetry

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestTracingIsBuiltOnlyWhenTheEnvironmentSaysSo(t *testing.T) {
	for _, row := range []struct {
		name string
		env  map[string]string
		want bool
	}{
		{"nothing is set", nil, false},
		{"an endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}, true},
		{"an endpoint for traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4317"}, true},
		{"disabled", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317", "OTEL_SDK_DISABLED": "TRUE"}, false},
		{"no exporter", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317", "OTEL_TRACES_EXPORTER": "none"}, false},
	} {
		if got := tracingConfigured(func(name string) string { return row.env[name] }); got != row.want {
			t.Errorf("%s: got %v", row.name, got)
		}
	}
}

func TestTracingIsShutDown(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Setenv("OTEL_SDK_DISABLED", "")
	t.Setenv("OTEL_TRACES_EXPORTER", "")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1") // nobody listens
	shutdown, err := SetupTracing(context.Background(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Traceparent": {"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}}
	ctx, span := StartHTTPSpan(context.Background(), "http putall", header)
	if got := trace.SpanFromContext(ctx).SpanContext().TraceID().String(); got != "0123456789abcdef0123456789abcdef" || !span.IsRecording() {
		t.Errorf("the span is of trace %s, recording %v", got, span.IsRecording())
	}
	if err := shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if _, span := StartHTTPSpan(context.Background(), "http putall", header); span.IsRecording() {
		t.Error("a span is recorded after the shutdown")
	}
}

func TestTracingRefusesAnotherProtocol(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	if _, err := SetupTracing(context.Background(), ""); err == nil {
		t.Error("no error")
	}
}

func TestStagesAreLaidEndToEnd(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, parent := provider.Tracer("test").Start(context.Background(), "parent")
	var stages Stages
	stages.Add(Apply, 2*time.Millisecond)
	stages.Add(Decode, 5*time.Millisecond)
	end := time.UnixMilli(1000)
	RecordStages(ctx, &stages, end)
	RecordStages(context.Background(), &stages, end) // nothing is recording there
	parent.End()

	var got []string
	for _, span := range recorder.Ended() {
		if span.Parent().SpanID() != parent.SpanContext().SpanID() {
			continue
		}
		got = append(got, span.Name()+" "+span.StartTime().Sub(end).String()+" "+span.EndTime().Sub(end).String())
	}
	if diff := cmp.Diff([]string{"decode -7ms -2ms", "apply -2ms 0s"}, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}
