package check

import (
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/check/drive"
	"github.com/sheafdb/sheaf/internal/check/judge"
)

// lieToFollowers is one that is told on the way to those who follow.
type lieToFollowers struct {
	// event returns what is sent in place of an event, or nil and keeps it back until the
	// next of one of its keys has been sent.
	event func(event *sheafv1.WatchResponse) (instead []*sheafv1.WatchResponse, keep bool)
	// picture changes a page of a scan; token the place where a watch goes on from it.
	picture func(page *sheafv1.ScanResponse)
	token   func(l *liar, prefix string) string
}

// workloads are those in which a lie is soon found out.
func (l *lie) workloads() []string {
	toFollowers := l.event != nil || l.picture != nil || l.token != nil
	return slices.DeleteFunc(drive.Names(sheaf.Linearizable), func(name string) bool { return (name == "watch") != toFollowers })
}

const tokenHeader = "sheaf-watch-token"

func (l *liar) Watch(req *sheafv1.WatchRequest, out grpc.ServerStreamingServer[sheafv1.WatchResponse]) error {
	in, err := l.kv.Watch(out.Context(), req)
	var kept *sheafv1.WatchResponse
	for err == nil {
		var event *sheafv1.WatchResponse
		if event, err = in.Recv(); err != nil {
			break
		}
		instead := []*sheafv1.WatchResponse{event}
		switch {
		case kept != nil && meet(kept, event):
			instead, kept = append(instead, kept), nil
		case l.lie.event == nil || kept != nil || len(event.GetEntries()) == 0 || !l.oneIn(lieEvery, enoughOfThese):
		default:
			keep := false
			if instead, keep = l.lie.event(event); keep {
				kept = event
			}
		}
		for _, event := range instead {
			if err == nil {
				err = out.Send(event)
			}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// meet reports whether two events have a key in common.
func meet(a, b *sheafv1.WatchResponse) bool {
	return slices.ContainsFunc(a.GetEntries(), func(one *sheafv1.Change) bool {
		return slices.ContainsFunc(b.GetEntries(), func(other *sheafv1.Change) bool { return string(one.GetKey()) == string(other.GetKey()) })
	})
}

func (l *liar) Scan(req *sheafv1.ScanRequest, out grpc.ServerStreamingServer[sheafv1.ScanResponse]) error {
	in, err := l.kv.Scan(out.Context(), req)
	if err != nil {
		return err
	}
	header, err := in.Header()
	if err != nil {
		return err
	}
	if tokens := header.Get(tokenHeader); len(tokens) > 0 {
		token := tokens[0]
		if l.lie.token != nil && l.oneIn(lieToScanEvery, enoughOfThese) {
			if other := l.lie.token(l, string(req.GetPrefix())); other != "" {
				token = other
			}
		}
		l.mu.Lock()
		l.tokens[string(req.GetPrefix())] = tokens[0]
		l.mu.Unlock()
		if err := out.SendHeader(metadata.Pairs(tokenHeader, token)); err != nil {
			return err
		}
	}
	for {
		page, err := in.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if l.lie.picture != nil && l.oneIn(lieToScanEvery, enoughOfThese) {
			l.lie.picture(page)
		}
		if err := out.Send(page); err != nil {
			return err
		}
	}
}

func changed(event *sheafv1.WatchResponse, change func(*sheafv1.WatchResponse)) *sheafv1.WatchResponse {
	other := proto.Clone(event).(*sheafv1.WatchResponse)
	change(other)
	return other
}

// toEvents is a lie about events.
func toEvents(name string, want judge.Reason, instead func(event *sheafv1.WatchResponse) []*sheafv1.WatchResponse) lie {
	return lie{name: name, want: want, lieToFollowers: lieToFollowers{event: func(event *sheafv1.WatchResponse) ([]*sheafv1.WatchResponse, bool) {
		return instead(event), false
	}}}
}

var liesToFollowers = []lie{
	toEvents("leaves an event out", judge.NeverCame, func(*sheafv1.WatchResponse) []*sheafv1.WatchResponse { return nil }),
	toEvents("sends an event twice", judge.CameTwice, func(event *sheafv1.WatchResponse) []*sheafv1.WatchResponse {
		return []*sheafv1.WatchResponse{event, event}
	}),
	toEvents("sends a batch in two events", judge.HalfCame, func(event *sheafv1.WatchResponse) []*sheafv1.WatchResponse {
		half := len(event.GetEntries()) / 2
		if half == 0 {
			return []*sheafv1.WatchResponse{event}
		}
		return []*sheafv1.WatchResponse{
			changed(event, func(e *sheafv1.WatchResponse) { e.Entries = e.GetEntries()[:half] }),
			changed(event, func(e *sheafv1.WatchResponse) { e.Entries = e.GetEntries()[half:] }),
		}
	}),
	toEvents("sends an event that nobody made", judge.UnwrittenCame, func(event *sheafv1.WatchResponse) []*sheafv1.WatchResponse {
		return []*sheafv1.WatchResponse{event, changed(event, func(e *sheafv1.WatchResponse) {
			e.Version++
			e.Entries = e.GetEntries()[:1]
			e.Entries[0].Value, e.Entries[0].Delete = []byte("a lie"), false
		})}
	}),
	toEvents("sends an event with another version", judge.AlteredCame, func(event *sheafv1.WatchResponse) []*sheafv1.WatchResponse {
		event.Version++
		return []*sheafv1.WatchResponse{event}
	}),
	{name: "sends two events of a key in the wrong order", want: judge.WatchFalls, lieToFollowers: lieToFollowers{
		event: func(*sheafv1.WatchResponse) ([]*sheafv1.WatchResponse, bool) { return nil, true },
	}},
	{name: "leaves a key out of a picture", want: judge.WrongPicture, lieToFollowers: lieToFollowers{
		picture: func(page *sheafv1.ScanResponse) {
			if n := len(page.GetEntries()); n > 0 {
				page.Entries = page.GetEntries()[:n-1]
			}
		},
	}},
	{name: "lets a watch begin before its picture", want: judge.PictureRepeats, lieToFollowers: lieToFollowers{
		token: func(l *liar, prefix string) string {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.tokens[prefix]
		},
	}},
}
