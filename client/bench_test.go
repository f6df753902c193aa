package client

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// BenchmarkPutAll is what the client itself does for a batch: the request ID, the
// encoding, the stages of the answer. gRPC is cut off right below it: the answer
// is there at once, with the trailer of a node.
func BenchmarkPutAll(b *testing.B) {
	b.Run("entries=1000/value=128B", func(b *testing.B) {
		trailer := metadata.Pairs(serverTimingKey, "decode;dur=0.041, admit;dur=0.002, route;dur=0.003, log;dur=1.204, apply;dur=0.180")
		answer := func(_ context.Context, _ string, request, response any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			pieces, err := codec{}.Marshal(request)
			if err != nil || pieces.Len() < 1000*128 {
				b.Fatal(pieces.Len(), err)
			}
			for _, opt := range opts {
				if opt, ok := opt.(grpc.TrailerCallOption); ok {
					*opt.TrailerAddr = trailer
				}
			}
			response.(*sheafv1.PutAllResponse).Version = 7
			return nil
		}
		c, err := New("127.0.0.1:1", func(o *options) error {
			o.dial = append(o.dial, grpc.WithUnaryInterceptor(answer))
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				b.Error(err)
			}
		}()
		entries := batchOf(1000, sheaf.Entry{})
		b.SetBytes(1000 * (29 + 128))
		b.ReportAllocs()
		for b.Loop() {
			if result, err := c.PutAll(context.Background(), entries); err != nil || result.Version != 7 || len(result.Stages) != 7 {
				b.Fatalf("%+v, %v", result, err)
			}
		}
	})
}
