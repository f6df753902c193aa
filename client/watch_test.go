package client

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// watchScript answers watches with its lines, the last of them for ever.
type watchScript struct {
	lines []watchLine
	asked []*sheafv1.WatchRequest
}

type watchLine func(grpc.ServerStreamingServer[sheafv1.WatchResponse]) error

func (w *watchScript) inBubble(t *testing.T, test func(t *testing.T, c *Client)) {
	inBubble(t, &fakeNode{watch: func(req *sheafv1.WatchRequest, stream grpc.ServerStreamingServer[sheafv1.WatchResponse]) error {
		w.asked = append(w.asked, req) // a watch is asked for after the last has ended
		return w.lines[min(len(w.asked), len(w.lines))-1](stream)
	}}, test)
}

// sends makes a line of a script that sends these and then fails.
func sends(end error, messages ...*sheafv1.WatchResponse) watchLine {
	return func(stream grpc.ServerStreamingServer[sheafv1.WatchResponse]) error {
		for _, m := range messages {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		return end
	}
}

func changed(key string) *sheafv1.Change {
	return &sheafv1.Change{Key: []byte(key), Value: []byte("v")}
}

// TestAWatchGoesOnBehindTheLastWholeBatch: half of one is forgotten when the stream breaks, however often
// and for however long.
func TestAWatchGoesOnBehindTheLastWholeBatch(t *testing.T) {
	node := &watchScript{}
	draining := refusal(sheaf.Draining)
	node.lines = append(node.lines,
		sends(draining, &sheafv1.WatchResponse{Token: "t0"},
			&sheafv1.WatchResponse{Token: "t1", Version: 1, Entries: []*sheafv1.Change{changed("a")}},
			&sheafv1.WatchResponse{Version: 2, More: true, Entries: []*sheafv1.Change{changed("half")}}),
		sends(draining, &sheafv1.WatchResponse{Token: "t1"}),
	)
	for range 200 { // more than any call's attempts
		node.lines = append(node.lines, sends(draining))
	}
	node.lines = append(node.lines,
		sends(refusal(sheaf.Compacted), &sheafv1.WatchResponse{Token: "t1"},
			&sheafv1.WatchResponse{Version: 2, More: true, After: "t1", Entries: []*sheafv1.Change{changed("half")}},
			&sheafv1.WatchResponse{Token: "t2", Version: 2, After: "t1", Frame: 1, Entries: []*sheafv1.Change{changed("whole")}}))
	node.inBubble(t, func(t *testing.T, c *Client) {
		var got []string
		var marks int
		var end error
		for e, err := range c.Watch(t.Context(), WatchOptions{Prefix: []byte("p"), Oldest: true, Progress: func(string) { marks++ }}) {
			if err != nil {
				end = err
				break
			}
			got = append(got, fmt.Sprint(e.Version, e.Token, e.After, len(e.Changes)))
		}
		if fmt.Sprint(got) != "[1t11 2t2t12]" {
			t.Errorf("events %v", got)
		}
		if sheaf.CodeOf(end) != sheaf.Compacted || marks != 3 {
			t.Errorf("ended with %v after %d marks", end, marks)
		}
		for i, req := range node.asked {
			if first := i == 0; req.GetOldest() != first || (req.GetToken() == "") != first || !first && req.GetToken() != "t1" || string(req.GetPrefix()) != "p" {
				t.Fatalf("request %d is %v", i, req)
			}
		}
	})
}

// TestAWatchThatBreaksAtOnceComesAgainLessAndLessOften, though it began each time.
func TestAWatchThatBreaksAtOnceComesAgainLessAndLessOften(t *testing.T) {
	node := &watchScript{}
	node.lines = append(node.lines, sends(refusal(sheaf.Draining), &sheafv1.WatchResponse{Token: "t0"}))
	node.inBubble(t, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range c.Watch(ctx, WatchOptions{}) {
		}
		if n := len(node.asked); n < 30 || n > 150 { // with at most a second between
			t.Errorf("%d streams in a minute", n)
		}
	})
}

// TestAWatchThatNeverBeganEndsAsOtherCallsDo: nobody waits for ever for an address that is wrong.
func TestAWatchThatNeverBeganEndsAsOtherCallsDo(t *testing.T) {
	for name, line := range map[string]watchLine{
		"refused": sends(refusal(sheaf.Draining)),
		"silence": func(stream grpc.ServerStreamingServer[sheafv1.WatchResponse]) error {
			<-stream.Context().Done()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := &watchScript{lines: []watchLine{line}}
			node.inBubble(t, func(t *testing.T, c *Client) {
				start := time.Now()
				for _, err := range c.Watch(t.Context(), WatchOptions{}) {
					if !errors.Is(err, context.DeadlineExceeded) || sheaf.CodeOf(err) != sheaf.NotProposed || name == "refused" && !errors.Is(err, sheaf.Draining) {
						t.Errorf("ended with %v", err)
					}
				}
				if took := time.Since(start); took != DefaultTimeout {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestAWatchEndsWithItsContext, and when its caller breaks off.
func TestAWatchEndsWithItsContext(t *testing.T) {
	node := &watchScript{}
	node.lines = append(node.lines, func(stream grpc.ServerStreamingServer[sheafv1.WatchResponse]) error {
		if err := stream.Send(&sheafv1.WatchResponse{Token: "t"}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return stream.Context().Err()
	})
	node.inBubble(t, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for _, err := range c.Watch(ctx, WatchOptions{}) {
			if err == nil || ctx.Err() == nil {
				t.Errorf("ended with %v", err)
			}
		}
	})
}
