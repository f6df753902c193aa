package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

type putStreamServer = grpc.BidiStreamingServer[sheafv1.PutStreamRequest, sheafv1.PutStreamResponse]

func (n *fakeNode) PutStream(stream putStreamServer) error {
	n.mu.Lock()
	n.opened++
	number := n.opened
	md, _ := metadata.FromIncomingContext(stream.Context())
	n.md = append(n.md, md)
	n.mu.Unlock()
	return n.putstream(number, stream)
}

const testWindow = 1 << 20

func grant(stream putStreamServer) { grantBytes(stream, testWindow) }

func grantBytes(stream putStreamServer, window uint64) {
	_ = stream.Send(&sheafv1.PutStreamResponse{WindowBytes: window, AdvisedEntries: 500})
}

func answer(stream putStreamServer, req *sheafv1.PutStreamRequest, version uint64) {
	_ = stream.Send(&sheafv1.PutStreamResponse{RequestId: req.RequestId, Version: version, WindowBytes: testWindow, AdvisedEntries: 700})
}

func refuse(stream putStreamServer, req *sheafv1.PutStreamRequest, code sheaf.Code, details ...protoadapt.MessageV1) {
	st, _ := proto.Marshal(status.Convert(refusal(code, details...)).Proto())
	_ = stream.Send(&sheafv1.PutStreamResponse{RequestId: req.RequestId, Status: st, WindowBytes: testWindow})
}

// answerAll answers all that comes, with rising versions.
func answerAll(stream putStreamServer) error {
	for version := uint64(1); ; version++ {
		req, err := stream.Recv()
		if err != nil {
			return nil //nolint:nilerr // the client has sent its last
		}
		answer(stream, req, version)
	}
}

func openPutStream(t *testing.T, c *Client, opts ...WriteOption) *PutStream {
	t.Helper()
	s, err := c.PutStream(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *PutStream, key string, opts ...WriteOption) *Pending {
	t.Helper()
	p, err := s.Put(t.Context(), []sheaf.Entry{sheaf.Put(key, "value")}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBatchesOfAStreamHaveTheirResults(t *testing.T) {
	node := &fakeNode{putstream: func(_ int, stream putStreamServer) error {
		grant(stream)
		return answerAll(stream)
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		s := openPutStream(t, c, At(sheaf.Sequential))
		if s.Advised() != 500 {
			t.Errorf("%d entries are advised", s.Advised())
		}
		first, second := put(t, s, "a"), put(t, s, "b", WithRequestID("mine"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := first.Wait(t.Context()); err != nil || got.Version != 1 || got.RequestID != first.RequestID() || got.Attempts != 1 {
			t.Errorf("first: %+v, %v", got, err)
		}
		if got, err := second.Wait(t.Context()); err != nil || got.Version != 2 || got.RequestID != "mine" {
			t.Errorf("second: %+v, %v", got, err)
		}
		if s.Advised() != 700 {
			t.Errorf("%d entries are advised", s.Advised())
		}
		if _, err := s.Put(t.Context(), someEntries); !errors.Is(err, sheaf.NotProposed) {
			t.Errorf("after Close: %v", err)
		}
		var sent sheafv1.PutStreamRequest
		if err := proto.Unmarshal(node.raw[0], &sent); err != nil || sent.Consistency != sheafv1.Consistency_CONSISTENCY_SEQUENTIAL {
			t.Errorf("sent %v, %v", &sent, err)
		}
	})
}

func TestABrokenStreamSendsAgainWhatWasNotAnswered(t *testing.T) {
	node := &fakeNode{}
	node.putstream = func(n int, stream putStreamServer) error {
		grant(stream)
		if n > 1 {
			return answerAll(stream)
		}
		for i := range 3 {
			req, err := stream.Recv()
			if err != nil {
				return err
			}
			if i == 0 {
				answer(stream, req, 100)
			}
		}
		node.listener.cut()
		return nil
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		s := openPutStream(t, c)
		pending := []*Pending{put(t, s, "a"), put(t, s, "b"), put(t, s, "c")}
		var got []Result
		for _, p := range pending {
			r, err := p.Wait(t.Context())
			if err != nil {
				t.Error(err)
			}
			got = append(got, Result{Version: r.Version, Attempts: r.Attempts})
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		// The first answer may have been lost with the connection: then it comes again too.
		again := len(node.raw) - 3
		if again < 2 || !slices.EqualFunc(node.raw[3:], node.raw[3-again:3], slices.Equal) {
			t.Errorf("%d batches were sent again, and not byte for byte in their order", again)
		}
		want := []Result{{Version: 100, Attempts: 1}, {Version: 1, Attempts: 2}, {Version: 2, Attempts: 2}}
		if again == 3 {
			want = []Result{{Version: 1, Attempts: 2}, {Version: 2, Attempts: 2}, {Version: 3, Attempts: 2}}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestABatchThatWasRefusedForNowIsSentAgainBeforeThoseBehindIt(t *testing.T) {
	var ids []string
	node := &fakeNode{putstream: func(n int, stream putStreamServer) error {
		grant(stream)
		for version := uint64(1); ; version++ {
			req, err := stream.Recv()
			if err != nil {
				return nil //nolint:nilerr // the client has sent its last
			}
			ids = append(ids, fmt.Sprint(n, " ", req.RequestId))
			if n == 1 && version == 2 {
				refuse(stream, req, sheaf.RateLimited, retryInfo(3*time.Second))
				continue
			}
			answer(stream, req, version)
		}
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		began := time.Now()
		s := openPutStream(t, c)
		put(t, s, "a", WithRequestID("a"))
		second := put(t, s, "b", WithRequestID("b"))
		if got, err := second.Wait(t.Context()); err != nil || got.Attempts != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("it was sent again after %v, where the node asked for 3s", took)
		}
		put(t, s, "c", WithRequestID("c"))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"1 a", "1 b", "2 b", "2 c"}, ids); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARefusalForGoodIsThatBatchesAlone(t *testing.T) {
	node := &fakeNode{putstream: func(_ int, stream putStreamServer) error {
		grant(stream)
		for {
			req, err := stream.Recv()
			if err != nil {
				return nil //nolint:nilerr // the client has sent its last
			}
			if req.RequestId == "bad" {
				refuse(stream, req, sheaf.ETagMismatch)
			} else {
				answer(stream, req, 7)
			}
		}
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		s := openPutStream(t, c)
		put(t, s, "a")
		bad := put(t, s, "b", WithRequestID("bad"))
		last := put(t, s, "c")
		if _, err := bad.Wait(t.Context()); !errors.Is(err, sheaf.ETagMismatch) {
			t.Error(err)
		}
		if got, err := last.Wait(t.Context()); err != nil || got.Version != 7 {
			t.Errorf("%+v, %v", got, err)
		}
		if err := s.Close(); !errors.Is(err, sheaf.ETagMismatch) {
			t.Errorf("Close: %v", err)
		}
		if node.opened != 1 {
			t.Errorf("%d streams", node.opened)
		}
	})
}

func TestAStreamStaysWithinItsWindow(t *testing.T) {
	const window = 10_000
	most := 0
	node := &fakeNode{putstream: func(_ int, stream putStreamServer) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		granted := window
		if announced := md.Get(batchBytesKey); len(announced) > 0 {
			granted, _ = strconv.Atoi(announced[0])
		}
		grantBytes(stream, uint64(granted))
		var held []*sheafv1.PutStreamRequest
		requests := make(chan *sheafv1.PutStreamRequest)
		go func() {
			defer close(requests)
			for {
				req, err := stream.Recv()
				if err != nil {
					return
				}
				requests <- req
			}
		}()
		for bytes := 0; ; {
			select {
			case req, ok := <-requests:
				if !ok && len(held) == 0 {
					return nil
				}
				if !ok {
					requests = nil
					continue
				}
				held = append(held, req)
				if bytes += proto.Size(req); bytes > granted {
					return status.Error(codes.ResourceExhausted, "the window was exceeded")
				}
				most = max(most, len(held))
			case <-time.After(time.Second): // the client sends nothing more
				if len(held) == 0 {
					continue
				}
				_ = stream.Send(&sheafv1.PutStreamResponse{RequestId: held[0].RequestId, Version: 1, WindowBytes: uint64(granted)})
				bytes -= proto.Size(held[0])
				held = held[1:]
				if len(held) == 0 && requests == nil {
					return nil
				}
			}
		}
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		s := openPutStream(t, c)
		var pending []*Pending
		for i, size := range []int{3000, 3000, 3000, 3000, 50_000, 3000, 3000} {
			p, err := s.Put(t.Context(), []sheaf.Entry{sheaf.Put(fmt.Sprint(i), make([]byte, size))})
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, p)
		}
		for i, p := range pending {
			if got, err := p.Wait(t.Context()); err != nil || got.Attempts != 1 {
				t.Errorf("batch %d: %+v, %v", i, got, err)
			}
		}
		if most < 3 {
			t.Errorf("at most %d batches were on their way, where three fit in the window", most)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestALargeBatchIsNotPassedBySmallOnes that would fit while it waits.
func TestALargeBatchIsNotPassedBySmallOnes(t *testing.T) {
	var let chan struct{} // of the bubble
	node := &fakeNode{putstream: func(_ int, stream putStreamServer) error {
		grant(stream)
		for {
			req, err := stream.Recv()
			if err != nil {
				return nil //nolint:nilerr // its end
			}
			<-let
			answer(stream, req, 1)
		}
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		let = make(chan struct{})
		s := openPutStream(t, c, WithStreamWindow(200))
		order := make(chan string, 4)
		for _, key := range []string{"first", "large", "small"} {
			size := 1
			if key == "large" {
				size = 1000
			}
			go func() {
				if _, err := s.Put(t.Context(), []sheaf.Entry{{Key: []byte(key), Value: make([]byte, size)}}); err != nil {
					t.Error(err)
				}
				order <- key
			}()
			synctest.Wait()
		}
		close(let)
		if got := <-order + " " + <-order + " " + <-order; got != "first large small" {
			t.Errorf("taken in the order %s", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPutWaitsForRoomNoLongerThanItsCaller(t *testing.T) {
	node := &fakeNode{putstream: func(_ int, stream putStreamServer) error {
		grant(stream)
		<-stream.Context().Done()
		return nil
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := c.PutStream(ctx, WithStreamWindow(100))
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "a")
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := s.Put(short, []sheaf.Entry{sheaf.Put("b", "1")}); !errors.Is(err, sheaf.NotProposed) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancel()
		if err := s.Close(); !errors.Is(err, sheaf.OutcomeUnknown) || !errors.Is(err, context.Canceled) {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestAStreamWithoutAnswersGivesUp(t *testing.T) {
	node := &fakeNode{putstream: func(_ int, stream putStreamServer) error {
		grant(stream)
		<-stream.Context().Done()
		return nil
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		s := openPutStream(t, c)
		<-time.After(20 * time.Second) // at rest it does not
		began := time.Now()
		p := put(t, s, "a")
		_, err := p.Wait(t.Context())
		if !errors.Is(err, sheaf.OutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("after %v", took)
		}
		if err := s.Close(); !errors.Is(err, sheaf.OutcomeUnknown) {
			t.Errorf("Close: %v", err)
		}
	}, WithTimeout(5*time.Second))
}

func TestAStreamThatTheNodeEndsAtRestIsOpenedAgain(t *testing.T) {
	node := &fakeNode{putstream: func(n int, stream putStreamServer) error {
		grant(stream)
		if n == 1 {
			return refusal(sheaf.NotProposed)
		}
		return answerAll(stream)
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		s := openPutStream(t, c)
		synctest.Wait()
		if got, err := put(t, s, "a").Wait(t.Context()); err != nil || got.Version != 1 || got.Attempts != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if err := s.Close(); err != nil || node.opened != 2 {
			t.Errorf("%d streams, %v", node.opened, err)
		}
	})
}

func TestAStreamThatCannotBeOpenedSaysWhy(t *testing.T) {
	for _, code := range []sheaf.Code{sheaf.Unauthenticated, sheaf.BatchTooLarge} {
		node := &fakeNode{putstream: func(int, putStreamServer) error { return refusal(code) }}
		inBubble(t, node, func(t *testing.T, c *Client) {
			if _, err := c.PutStream(t.Context()); !errors.Is(err, code) {
				t.Errorf("got %v, want %v", err, code)
			}
		})
	}
	busy := &fakeNode{putstream: func(n int, stream putStreamServer) error {
		if n < 4 {
			return refusal(sheaf.Draining, retryInfo(time.Second))
		}
		grant(stream)
		return answerAll(stream)
	}}
	inBubble(t, busy, func(t *testing.T, c *Client) {
		if err := openPutStream(t, c).Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestWithoutRetryABrokenStreamLeavesItsBatchesUnknown(t *testing.T) {
	node := &fakeNode{}
	node.putstream = func(_ int, stream putStreamServer) error {
		grant(stream)
		_, _ = stream.Recv()
		node.listener.cut()
		return nil
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		s := openPutStream(t, c, WithoutRetry())
		if _, err := put(t, s, "a").Wait(t.Context()); !errors.Is(err, sheaf.OutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		if err := s.Close(); !errors.Is(err, sheaf.OutcomeUnknown) || len(node.raw) != 1 {
			t.Errorf("Close: %v, sent %d times", err, len(node.raw))
		}
	})
}

func TestAStreamHasNoRequestIDOfItsOwn(t *testing.T) {
	inBubble(t, &fakeNode{}, func(t *testing.T, c *Client) {
		if _, err := c.PutStream(t.Context(), WithRequestID("x")); !errors.Is(err, sheaf.InvalidBatch) {
			t.Errorf("got %v", err)
		}
	})
}
