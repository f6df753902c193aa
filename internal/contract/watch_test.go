package contract

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/config"
)

// from says where a watch begins.
type from struct {
	prefix, token string
	oldest        bool
}

// seen is one message of a watch, of either face.
type seen struct {
	token, after string
	version      uint64
	changes      []change
	more         bool
	frame        uint32
	refused      sheaf.Code
	restart      string // the token of a refusal
}

type change struct {
	key, value, typeURL string
	ttlMS               int64
	gone, expired       bool
}

// watcher reads a watch of one face.
type watcher func(t testing.TB) seen

// watch begins one; it ends with the test.
func watch(t testing.TB, f face, at from) watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	if web, ok := f.(httpFace); ok {
		return watchHTTP(ctx, t, web.node, at, "")
	}
	stream, err := f.(grpcFace).node.kv.Watch(ctx, &sheafv1.WatchRequest{Prefix: []byte(at.prefix), Token: at.token, Oldest: at.oldest, ProgressMs: 100})
	if err != nil {
		t.Fatal(err)
	}
	return func(t testing.TB) seen {
		t.Helper()
		m, err := stream.Recv()
		if err != nil {
			got := grpcRefusal(t, err)
			return seen{refused: got.code, restart: got.token}
		}
		s := seen{token: m.GetToken(), after: m.GetAfter(), version: m.GetVersion(), more: m.GetMore(), frame: m.GetFrame()}
		for _, c := range m.GetEntries() {
			s.changes = append(s.changes, change{string(c.GetKey()), string(c.GetValue()), c.GetTypeUrl(), c.GetTtlMs(), c.GetDelete(), c.GetExpired()})
		}
		return s
	}
}

func watchHTTP(ctx context.Context, t testing.TB, n *target, at from, lastEventID string) watcher {
	t.Helper()
	q := url.Values{"prefix": {at.prefix}, "progress_ms": {"100"}}
	if at.token != "" {
		q.Set("token", at.token)
	}
	if at.oldest {
		q.Set("oldest", "true")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.httpAddr+"/v1/watch?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	resp, err := (&http.Client{Transport: n.client.Transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return func(testing.TB) seen { return problemSeen(t, body) }
	}
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type is %q", got)
	}
	lines := bufio.NewReader(resp.Body)
	return func(t testing.TB) seen {
		t.Helper()
		var s seen
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("the stream ended: %v", err)
			}
			line = strings.TrimSuffix(line, "\n")
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "":
				return s
			case "id":
				s.token = value
			case "event":
				if value == "error" {
					s.refused = sheaf.Internal // until its data says which
				} else if value != "batch" {
					t.Fatalf("an event of type %q", value)
				}
			case "data":
				if s.refused != "" {
					return problemSeen(t, []byte(value))
				}
				s.read(t, value)
			default:
				t.Fatalf("line %q", line)
			}
		}
	}
}

func problemSeen(t testing.TB, body []byte) seen {
	t.Helper()
	var p struct {
		Reason sheaf.Code
		Token  string
	}
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	note("http", p.Reason)
	return seen{refused: p.Reason, restart: p.Token}
}

// read takes in the data of a batch, which must have the fields of the contract and no others.
func (s *seen) read(t testing.TB, data string) {
	t.Helper()
	var d struct {
		Version uint64 `json:",string"`
		After   string
		More    bool
		Frame   uint32
		Entries []struct {
			Key      *string
			KeyB64   string `json:"key_b64"`
			Value    *string
			ValueB64 string `json:"value_b64"`
			TypeURL  string `json:"type_url"`
			TTLMS    int64  `json:"ttl_ms,string"`
			Delete   bool
			Expired  bool
		}
	}
	decoder := json.NewDecoder(strings.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	text := func(plain *string, b64 string) string {
		if plain != nil {
			return *plain
		}
		out, err := base64.StdEncoding.DecodeString(b64)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	s.version, s.after, s.more, s.frame = d.Version, d.After, d.More, d.Frame
	for _, e := range d.Entries {
		s.changes = append(s.changes, change{text(e.Key, e.KeyB64), text(e.Value, e.ValueB64), e.TypeURL, e.TTLMS, e.Delete, e.Expired})
	}
}

// next is the next message that is no mark.
func (w watcher) next(t testing.TB) seen {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if s := w(t); len(s.changes) > 0 || s.refused != "" {
			return s
		}
	}
	t.Fatal("nothing came")
	return seen{}
}

// wantSeen compares all but the tokens.
func wantSeen(t testing.TB, got seen, version uint64, changes ...change) {
	t.Helper()
	want := seen{token: got.token, after: got.after, version: version, changes: changes}
	if got.token == "" || got.after == "" {
		t.Errorf("an event without its tokens: %+v", got)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{}, change{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestAWatchSendsEveryBatchOnce: whole, in order, with what its entries had, and no other keys.
func TestAWatchSendsEveryBatchOnce(t *testing.T) {
	for _, store := range []string{"pebble", "memory"} {
		n := sharedNode(t, store)
		eachFace(t, n, func(t *testing.T, f face) {
			p := t.Name() + "/"
			w := watch(t, f, from{prefix: p})
			if began := w(t); began.token == "" || len(began.changes) > 0 {
				t.Fatalf("the first message is %+v, not where the watch begins", began)
			}
			typed := sheaf.Put(p+"typed", "\xff\xfe")
			typed.TypeURL = "type.googleapis.com/shop.v1.OrderCreated"
			// The tag has them in one group, so that their order is the batch's.
			first := must(t, f, call{id: p + "1", entries: []sheaf.Entry{
				sheaf.Put(p+"{x}a", "1"), sheaf.Put("beside/{"+p+"}", "x"), sheaf.Put(p+"{x}\xff", "\x00").WithTTL(time.Hour),
			}})
			got := w.next(t)
			wantSeen(t, got, first.version, change{key: p + "{x}a", value: "1"}, change{key: p + "{x}\xff", value: "\x00", ttlMS: 3600_000})

			must(t, f, call{id: p + "none", entries: puts("beside/" + p + "=x")})
			must(t, f, call{id: p + "1", entries: []sheaf.Entry{ // a retry writes nothing
				sheaf.Put(p+"{x}a", "1"), sheaf.Put("beside/{"+p+"}", "x"), sheaf.Put(p+"{x}\xff", "\x00").WithTTL(time.Hour),
			}})
			mustRefuse(t, f, call{id: p + "2", entries: []sheaf.Entry{sheaf.Put(p+"{x}a", "2").OnlyIfVersion(first.version + 1000)}}, sheaf.VersionMismatch)
			second := must(t, f, call{id: p + "3", entries: []sheaf.Entry{sheaf.Put(p+"{x}a", "3").OnlyIfVersion(first.version)}})
			third := must(t, f, call{id: p + "4", entries: []sheaf.Entry{typed}})
			fourth := must(t, f, call{op: deleteKey, keys: []string{p + "{x}a"}, id: p + "5"})

			byVersion := map[uint64][]change{
				second.version: {{key: p + "{x}a", value: "3"}},
				third.version:  {{key: p + "typed", value: "\xff\xfe", typeURL: typed.TypeURL}},
				fourth.version: {{key: p + "{x}a", gone: true}},
			}
			if groups() > 1 {
				return // two groups may give the same version; the history's model has their order
			}
			before := got.token
			for _, version := range []uint64{second.version, third.version, fourth.version} {
				got := w.next(t)
				wantSeen(t, got, version, byVersion[version]...)
				if got.version == second.version && got.after == before {
					t.Log("no mark came between") // it may, or not
				}
			}
		})
	}
}

// TestAWatchGoesOnFromAToken: at either face, behind what was seen; also by Last-Event-ID.
func TestAWatchGoesOnFromAToken(t *testing.T) {
	n := sharedNode(t, "memory")
	p := t.Name() + "/"
	w := watch(t, httpFace{n}, from{prefix: p})
	w(t)
	var tokens []string
	for i := range 4 {
		must(t, httpFace{n}, call{id: fmt.Sprint(p, i), entries: puts(fmt.Sprintf("%skey%d=%d", p, i, i), p+"all="+fmt.Sprint(i))})
		tokens = append(tokens, w.next(t).token)
	}
	for i, token := range tokens[:3] {
		for _, f := range n.faces() {
			again := watch(t, f, from{prefix: p + "all", token: token})
			if mark := again(t); mark.token == "" {
				t.Errorf("no mark: %+v", mark)
			}
			for j := i + 1; j < 4; j++ {
				if got := again.next(t); len(got.changes) != 1 || got.changes[0].value != fmt.Sprint(j) {
					t.Errorf("%s: behind batch %d: %+v, want batch %d", f.name(), i, got, j)
				}
			}
		}
	}
	byHeader := watchHTTP(t.Context(), t, n, from{prefix: p, oldest: true}, tokens[2])
	if got := byHeader.next(t); len(got.changes) != 2 || got.changes[1].value != "3" {
		t.Errorf("by Last-Event-ID: %+v", got)
	}
}

// TestAWatchBeginsWithTheOldest that is kept, and refuses what makes no sense.
func TestAWatchBeginsWithTheOldest(t *testing.T) {
	n := start(t, t.TempDir(), nil, nil)
	must(t, httpFace{n}, call{id: "1", entries: puts("a=1")})
	for _, f := range n.faces() {
		w := watch(t, f, from{oldest: true})
		if got := w.next(t); got.changes[0] != (change{key: "a", value: "1"}) {
			t.Errorf("%s: %+v", f.name(), got)
		}
		for _, bad := range []from{{token: "x"}, {token: "1.1"}, {token: "a_1"}, {token: "a_1.x"}, {token: "a_2.1"}, {prefix: strings.Repeat("x", 5000)}} {
			if got := watch(t, f, bad)(t); got.refused != sheaf.InvalidBatch {
				t.Errorf("%s: %+v is answered %+v", f.name(), bad, got)
			}
		}
		mark := watch(t, f, from{})(t)
		if got := watch(t, f, from{token: mark.token, oldest: true})(t); got.refused != sheaf.InvalidBatch {
			t.Errorf("%s: both a token and the oldest: %+v", f.name(), got)
		}
		origin, places, _ := strings.Cut(mark.token, "_")
		for _, other := range []string{"other_" + places, origin + "_" + strings.Replace(places, "1.", "1.9999", 1)} {
			if got := watch(t, f, from{token: other})(t); got.refused != sheaf.Compacted || got.restart == "" {
				t.Errorf("%s: a token of other data: %+v", f.name(), got)
			}
		}
	}
}

// TestAWatchTellsWhatExpires, which is no batch and has no version.
func TestAWatchTellsWhatExpires(t *testing.T) {
	eachFace(t, sharedNode(t, "pebble"), func(t *testing.T, f face) {
		k := t.Name()
		w := watch(t, f, from{prefix: k})
		w(t)
		must(t, f, call{id: k, entries: []sheaf.Entry{sheaf.Put(k, "1").WithTTL(20 * time.Millisecond)}})
		w.next(t)
		wantSeen(t, w.next(t), 0, change{key: k, gone: true, expired: true})
	})
}

// TestALargeBatchComesInFrames, of which the last alone has a token.
func TestALargeBatchComesInFrames(t *testing.T) {
	eachFace(t, sharedNode(t, "memory"), func(t *testing.T, f face) {
		p := t.Name() + "/"
		w := watch(t, f, from{prefix: p})
		w(t)
		var entries []sheaf.Entry
		for i := range 300 {
			entries = append(entries, sheaf.Put(fmt.Sprintf("%s%03d", p, i), strings.Repeat("v", 16<<10)))
		}
		wrote := must(t, f, call{id: p, entries: entries})
		found := make(map[string]bool)
		for number := uint32(0); ; number++ {
			got := w.next(t)
			if got.version != wrote.version || got.frame != number || got.more == (got.token != "") || number == 0 && !got.more {
				t.Fatalf("frame %d: %+v", number, got.frame)
			}
			size := 0
			for _, c := range got.changes {
				found[c.key] = true
				size += len(c.value)
			}
			if size > 1<<20+16<<10 {
				t.Errorf("a frame of %d bytes", size)
			}
			if !got.more {
				break
			}
		}
		if len(found) != 300 {
			t.Errorf("%d of 300 keys came", len(found))
		}
	})
}

// TestABatchOverGroupsIsOneEvent, also where its keys are in several groups.
func TestABatchOverGroupsIsOneEvent(t *testing.T) {
	eachFace(t, sharedNode(t, "memory"), func(t *testing.T, f face) {
		p := t.Name() + "/"
		w := watch(t, f, from{prefix: p})
		w(t)
		for i := range 20 {
			var entries []sheaf.Entry
			for k := range 10 {
				entries = append(entries, sheaf.Put(fmt.Sprint(p, k), fmt.Sprint(i)))
			}
			wrote := must(t, f, call{id: fmt.Sprint(p, i), entries: entries})
			got := w.next(t)
			if got.version != wrote.version || len(got.changes) != 10 || got.more {
				t.Fatalf("batch %d: %d changes of version %d, want 10 of %d", i, len(got.changes), got.version, wrote.version)
			}
			for _, c := range got.changes {
				if c.value != fmt.Sprint(i) {
					t.Errorf("batch %d has %+v", i, c)
				}
			}
		}
	})
}

// TestAWatchThatFallsBehindIsTold, with a token that can be had; whoever is slow holds up no writer.
func TestAWatchThatFallsBehindIsTold(t *testing.T) {
	n := start(t, t.TempDir(), nil, func(c *config.Config) { c.Watch.HistoryBytes = 256 << 10 })
	for _, f := range n.faces() {
		slow := watch(t, f, from{})
		began := slow(t)
		for i := range 200 {
			must(t, f, call{id: fmt.Sprint(f.name(), i), entries: []sheaf.Entry{sheaf.Put(fmt.Sprint(f.name(), i), strings.Repeat("v", 64<<10))}})
		}
		if got := watch(t, f, from{token: began.token})(t); got.refused != sheaf.Compacted || got.restart == "" {
			t.Errorf("%s: a token from before: %+v", f.name(), got)
		} else if got := watch(t, f, from{token: got.restart})(t); got.refused != "" {
			t.Errorf("%s: the token of the refusal: %+v", f.name(), got)
		}
		last := -1
		for {
			got := slow.next(t)
			if got.refused == sheaf.Compacted {
				break
			}
			var i int
			if _, err := fmt.Sscanf(got.changes[0].key, f.name()+"%d", &i); err != nil || i != last+1 {
				t.Fatalf("%s: %q came behind number %d, and nobody said so", f.name(), got.changes[0].key, last)
			}
			if last = i; last == 199 {
				t.Logf("%s: the connection held all of it", f.name())
				break
			}
		}
	}
}

// TestAWatchGoesOnAfterARestart from its last token, with what was written meanwhile.
func TestAWatchGoesOnAfterARestart(t *testing.T) {
	for _, store := range []string{"pebble", "memory"} {
		dir := t.TempDir()
		choose := func(c *config.Config) { c.Store = store }
		n := start(t, dir, nil, choose)
		p := t.Name()
		w := watch(t, grpcFace{n}, from{prefix: p})
		w(t)
		must(t, grpcFace{n}, call{id: "1", entries: puts(p + "1=x")})
		token := w.next(t).token
		if err := n.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := w.next(t); got.refused != sheaf.Draining {
			t.Errorf("the watch ended with %+v, not DRAINING", got)
		}
		n = start(t, dir, nil, choose)
		w = watch(t, httpFace{n}, from{prefix: p, token: token})
		if mark := w(t); mark.refused != "" {
			t.Fatalf("%s: %+v", store, mark)
		}
		wrote := must(t, grpcFace{n}, call{id: "2", entries: puts(p + "2=y")})
		wantSeen(t, w.next(t), wrote.version, change{key: p + "2", value: "y"})
	}
}
