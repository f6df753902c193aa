package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
)

// DefaultTimeout is how long a call without a deadline may take, with all its
// retries, unless [WithTimeout] says otherwise.
const DefaultTimeout = 30 * time.Second

// Option changes a Client for its whole life.
type Option func(*options) error

type options struct {
	insecure bool
	tls      *tls.Config
	retry    RetryPolicy
	timeout  time.Duration
	tracer   trace.Tracer // nil: nothing is traced
	dial     []grpc.DialOption
}

func gather(opts []Option) (options, error) {
	o := options{retry: DefaultRetryPolicy(), timeout: DefaultTimeout}
	var errs []error
	for _, opt := range opts {
		errs = append(errs, opt(&o))
	}
	if o.insecure && o.tls != nil {
		errs = append(errs, errors.New("WithTLS and WithInsecure contradict each other: give one of them"))
	}
	return o, errors.Join(errs...)
}

// WithInsecure speaks plain text to any host: everyone on the path can read and
// change what is sent.
func WithInsecure() Option {
	return func(o *options) error {
		o.insecure = true
		return nil
	}
}

// WithTLS speaks TLS with this configuration, for example with the roots of a
// private authority or a client certificate, to a loopback host too. The
// configuration is copied. TLS 1.3 is required whatever its MinVersion says.
func WithTLS(config *tls.Config) Option {
	return func(o *options) error {
		if config == nil {
			return errors.New("WithTLS needs a configuration: &tls.Config{} takes the system's roots")
		}
		o.tls = config.Clone()
		return nil
	}
}

// WithRetry sets how calls are retried. A field that is 0 keeps its default.
func WithRetry(policy RetryPolicy) Option {
	return func(o *options) error {
		o.retry = policy.withDefaults()
		return o.retry.validate()
	}
}

// WithTimeout sets how long a call whose context has no deadline may take, with
// all its retries. A [Client.Scan] is not a call in this sense: it lasts as
// long as its caller reads.
func WithTimeout(timeout time.Duration) Option {
	return func(o *options) error {
		if timeout <= 0 {
			return fmt.Errorf("the timeout is %v: it must be positive", timeout)
		}
		o.timeout = timeout
		return nil
	}
}

// WithTracerProvider records a span for each call but Scan, with spans below it that tell where its
// time went, here and on the server, and a span for each attempt, whose context it sends along
// (W3C Trace Context). Without it nothing is traced.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(o *options) error {
		o.tracer = provider.Tracer(tracerName)
		o.dial = append(o.dial, grpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(provider),
			otelgrpc.WithPropagators(propagation.TraceContext{}),
		)))
		return nil
	}
}
