package contract

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// TestTheLimitsHold: what is exactly at a limit is served, one more is refused. The
// limits are those of the faces; on the store in memory they are reached sooner.
func TestTheLimitsHold(t *testing.T) {
	eachFace(t, sharedNode(t, "memory"), func(t *testing.T, f face) {
		t.Run("100,000 entries", func(t *testing.T) {
			const most = 100_000
			entries := numbered(t.Name(), most+1)
			first := must(t, f, call{id: t.Name(), entries: entries[:most]})
			read := must(t, f, call{op: getAll, keys: keysOf(entries[:most])})
			if len(read.items) != most || read.etag != first.etag {
				t.Errorf("read %d keys with ETag %s: %s was written", len(read.items), read.etag, first.etag)
			}
			mustRefuse(t, f, call{id: t.Name() + "+", entries: entries}, sheaf.BatchTooLarge)
			mustRefuse(t, f, call{op: getAll, keys: keysOf(entries)}, sheaf.BatchTooLarge)
			mustRefuse(t, f, call{op: deleteAll, id: t.Name() + "-", keys: keysOf(entries)}, sheaf.BatchTooLarge)
			must(t, f, call{op: deleteAll, id: t.Name() + "0", keys: keysOf(entries[:most])})
		})
		t.Run("a value of 16 MiB", func(t *testing.T) {
			key := []byte(t.Name())
			value := bytes.Repeat([]byte("v\xff"), 8<<20)
			for _, op := range []operation{putKey, putAll} {
				must(t, f, call{op: op, id: fmt.Sprint(t.Name(), op), entries: []sheaf.Entry{{Key: key, Value: value}}})
				mustRefuse(t, f, call{op: op, id: fmt.Sprint(t.Name(), "+", op), entries: []sheaf.Entry{{Key: key, Value: append(value, 'v')}}}, sheaf.BatchTooLarge)
			}
			if got := must(t, f, call{op: getKey, keys: []string{string(key)}}); got.items[0].value != string(value) {
				t.Errorf("%d bytes came back", len(got.items[0].value))
			}
		})
		t.Run("a key of 4 KiB, and of any bytes", func(t *testing.T) {
			for _, key := range []string{
				strings.Repeat("k", 4<<10), strings.Repeat("\xff", 4<<10-4) + f.name(), "\x00" + f.name(), "\xff" + f.name(), f.name() + "\x00", "\x00", "\xff",
			} {
				must(t, f, call{op: putKey, entries: []sheaf.Entry{sheaf.Put(key, f.name())}})
				for _, op := range []operation{getKey, getAll} {
					if got := must(t, f, call{op: op, keys: []string{key}}); got.items[0].value != f.name() || got.items[0].key != key {
						t.Errorf("%v of %.20q: %+v", op, key, got.items)
					}
				}
			}
			// Keys that differ only in their last zero byte are two keys.
			if got := must(t, f, call{op: getAll, keys: []string{f.name(), f.name() + "\x00"}}); got.items[0].found || !got.items[1].found {
				t.Errorf("%v", got.items)
			}
			mustRefuse(t, f, call{op: putKey, entries: []sheaf.Entry{sheaf.Put(strings.Repeat("k", 4<<10+1), "1")}}, sheaf.InvalidBatch)
			mustRefuse(t, f, call{op: getKey, keys: []string{strings.Repeat("k", 4<<10+1)}}, sheaf.InvalidBatch)
		})
	})
}

// TestTheLimitsAreConfigured uses a node whose limits are small.
func TestTheLimitsAreConfigured(t *testing.T) {
	n := sharedNode(t, "small")
	eachFace(t, n, func(t *testing.T, f face) {
		k := f.name()
		tooLarge := func(c call) {
			t.Helper()
			c.id = t.Name()
			mustRefuse(t, f, c, sheaf.BatchTooLarge)
		}
		value := strings.Repeat("v", smallValue)
		full := make([]sheaf.Entry, 4) // above the batch's bytes by their keys
		for i := range full {
			full[i] = sheaf.Put(fmt.Sprint(k, i), value)
			must(t, f, call{op: putKey, entries: full[i : i+1]})
		}
		tooLarge(call{entries: numbered(k, smallEntries+1)})
		tooLarge(call{entries: []sheaf.Entry{sheaf.Put(k, value+"v")}})
		tooLarge(call{op: putKey, entries: []sheaf.Entry{sheaf.Put(k, value+"v")}})
		tooLarge(call{entries: full})
		tooLarge(call{op: getAll, keys: keysOf(full)}) // the answer would be too large
		tooLarge(call{op: getAll, keys: keysOf(numbered(k, smallEntries+1))})
		tooLarge(call{op: getAll, keys: strings.Split(strings.Repeat(k+"0 ", smallEntries), " ")[:smallEntries]})
		must(t, f, call{op: getAll, keys: keysOf(full[:3])})
		mustRefuse(t, f, call{op: getKey, keys: []string{strings.Repeat("k", smallKey+1)}}, sheaf.InvalidBatch)
		// A scan has no such bound: it is a stream.
		if got := must(t, f, call{op: scan, keys: []string{k}}); len(got.items) != len(full) {
			t.Errorf("a scan of %d keys returns %d", len(full), len(got.items))
		}
	})
}

// TestOversizedMessages are refused before they are read.
func TestOversizedMessages(t *testing.T) {
	n := sharedNode(t, "small")
	rpc, web := grpcFace{n}, httpFace{n}
	for _, size := range []int{smallBatch + 1, 3 * smallBatch / 2, 4 * smallBatch} {
		msg, err := proto.Marshal(&sheafv1.PutAllRequest{Entries: []*sheafv1.Entry{{Key: []byte("k"), Value: make([]byte, size)}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, announced := range [][]string{nil, {"sheaf-batch-bytes", fmt.Sprint(len(msg))}} {
			for _, method := range []string{"PutAll", "GetAll", "DeleteAll", "PutBundle"} {
				if method != "PutAll" && size < 4*smallBatch {
					continue // as another message it is malformed
				}
				if announced == nil && size >= 2*smallBatch+(64<<10) {
					// gRPC stops it before we see it, and answers by itself.
					if _, err := rpc.send(t, method, msg); status.Code(err) != codes.ResourceExhausted {
						t.Errorf("%s of %d bytes, not announced: %v", method, size, err)
					}
					continue
				}
				t.Run(fmt.Sprintf("grpc/%s of %d bytes, announced %t", method, size, announced != nil), func(t *testing.T) {
					_, err := rpc.send(t, method, msg, announced...)
					if got := grpcRefusal(t, err); got.code != sheaf.BatchTooLarge {
						t.Errorf("%s (%s)", got.code, got.detail)
					}
				})
			}
		}
	}
	body := []byte(`{"entries":[{"key":"k","value":"` + strings.Repeat("v", 4*smallBatch) + `"}]}`)
	for _, path := range []string{"/v1/putall", "/v1/getall", "/v1/deleteall"} {
		refusedWith(t, web.send(t, "POST", path, body, "Idempotency-Key", t.Name()), sheaf.BatchTooLarge)
	}
	refusedWith(t, web.send(t, "PUT", "/v1/keys/k", body), sheaf.BatchTooLarge)
}
