package client

import (
	"context"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/zeebo/xxh3"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// SyncStep says what an [Update] is.
type SyncStep int

// The steps of a Sync, in their order. SyncRestart may come again at any time.
const (
	// SyncRestart: a picture begins. Forget what came before.
	SyncRestart SyncStep = iota
	// SyncItems: more of the picture, in the order of the keys.
	SyncItems
	// SyncComplete: that was all of it. What comes now are changes.
	SyncComplete
	// SyncEvent: a batch that is not in the picture.
	SyncEvent
)

// Update is one step of a [Client.Sync].
type Update struct {
	Step SyncStep
	// Items are those of SyncItems. They belong to the caller.
	Items []sheaf.Item
	// Event is that of SyncEvent.
	Event Event
}

// watchTokenKey is the header of a scan with the token of a watch that goes on from it.
const watchTokenKey = "sheaf-watch-token"

// Sync yields all live keys of a prefix, and then every change of them: nothing is missing between
// the two, and no change comes that the picture has already. Together they make, at every
// moment after SyncComplete, what the keys have been at some time, and later than before; except
// that of a hash-table store a key that was written and deleted while the picture was taken may
// come up once more, and go, and one that expired then and was written again may go once more, and
// come.
//
// The picture is taken group by group, so a batch over several groups may be in it in part; the rest
// of it is then an event. When the watch falls behind what is kept, or the scan breaks, it begins
// anew, with SyncRestart, however often. It ends with a failure that is yielded alone, or with ctx. Once
// there was a whole picture it waits for nodes that are away as long as ctx allows.
func (c *Client) Sync(ctx context.Context, prefix []byte) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		ctx, begun, cancel := c.untilBegun(ctx)
		defer cancel()
		s := syncing{c: c, prefix: prefix, begun: begun, yield: func(u Update) bool { return yield(u, nil) }}
		for {
			err := s.once(ctx)
			if s.enough {
				return
			}
			if sheaf.CodeOf(err) == sheaf.Compacted {
				err = s.pause(ctx)
			}
			if err != nil {
				yield(Update{}, err)
				return
			}
		}
	}
}

// syncing is where a Sync stands.
type syncing struct {
	c        *Client
	prefix   []byte
	yield    func(Update) bool
	begun    func()
	enough   bool // yield has said so
	complete bool // there was a whole picture
	// versions are those of the picture's keys, by their hashes, until it is known that all changes are
	// behind it: a hash table's scan finds keys as they are when it comes to them, which may be
	// newer than its token.
	versions map[uint64]uint64
	// restarts counts the pictures since the last change.
	restarts int
}

// cut takes out of an event what the picture has already. Of a key whose first change is newer than the
// picture all that come later are too.
func (s *syncing) cut(e *Event) {
	if s.versions == nil {
		return
	}
	if e.Version == 0 { // whether it is before the picture is not known: then what wrote the key again comes too
		for i := range e.Changes {
			delete(s.versions, xxh3.Hash(e.Changes[i].Key))
		}
		return
	}
	e.Changes = slices.DeleteFunc(e.Changes, func(change Change) bool {
		hash := xxh3.Hash(change.Key)
		had, ok := s.versions[hash]
		if ok && e.Version > had {
			delete(s.versions, hash)
		}
		return ok && e.Version <= had
	})
}

func (s *syncing) put(u Update) bool {
	s.enough = s.enough || !s.yield(u)
	return !s.enough
}

// pause keeps a reader that never keeps up from doing nothing but begin.
func (s *syncing) pause(ctx context.Context) error {
	s.restarts++
	wait := time.NewTimer(s.c.retry.delay(s.restarts, 0, rand.Float64()))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return &sheaf.Error{Code: sheaf.NotProposed, Op: "sync", Err: ctx.Err(), Detail: "the caller's time was over before another picture was taken"}
	}
}

// once yields a picture and what comes after it, until there is no going on.
func (s *syncing) once(ctx context.Context) error {
	call := s.c.newCall("sync")
	call.patient = s.complete && call.policy.MaxAttempts > 1
	for {
		call.node, call.at = s.c.nodes.pick(call.route)
		token, err := s.picture(ctx, sheafv1.NewKVServiceClient(call.node.conn))
		if s.enough {
			return nil
		}
		if err == nil {
			w := watch{request: sheafv1.WatchRequest{Prefix: s.prefix, Token: token}, begun: s.begun}
			s.complete = true
			call.attempts, call.patient = 0, call.policy.MaxAttempts > 1
			w.progress = func(string) {
				if w.marks > 1 { // a stream's first is where that begins
					s.versions = nil
				}
			}
			return s.c.follow(ctx, call, &w, func(e Event) bool {
				s.restarts = 0
				s.cut(&e)
				return len(e.Changes) == 0 || s.put(Update{Step: SyncEvent, Event: e})
			})
		}
		if end := s.c.again(ctx, call, err, true); end != nil {
			return end
		}
	}
}

// picture yields the live keys, all from one scan: one that is resumed would be of two times.
func (s *syncing) picture(ctx context.Context, kv sheafv1.KVServiceClient) (token string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := kv.Scan(ctx, &sheafv1.ScanRequest{Prefix: s.prefix})
	if err != nil {
		return "", err
	}
	var header metadata.MD
	if header, err = stream.Header(); err != nil {
		return "", err
	}
	s.begun()
	tokens := header.Get(watchTokenKey)
	if len(tokens) == 0 { // then Recv says why
		if _, err := stream.Recv(); err != nil && err != io.EOF {
			return "", err
		}
		return "", &sheaf.Error{Code: sheaf.Internal, Op: "sync", Detail: "the node's scan names no token"}
	}
	if !s.put(Update{Step: SyncRestart}) {
		return "", nil
	}
	s.versions = make(map[uint64]uint64)
	for {
		page, err := stream.Recv()
		if err == io.EOF {
			s.put(Update{Step: SyncComplete})
			return tokens[0], nil
		}
		if err != nil {
			return "", err
		}
		items := make([]sheaf.Item, len(page.GetEntries()))
		for i, item := range page.GetEntries() {
			items[i] = sheaf.Item{
				Key: item.GetKey(), Value: item.GetValue(), TypeURL: item.GetTypeUrl(),
				Version: item.GetVersion(), Found: true,
			}
			s.versions[xxh3.Hash(item.GetKey())] = item.GetVersion()
		}
		if !s.put(Update{Step: SyncItems, Items: items}) {
			return "", nil
		}
	}
}
