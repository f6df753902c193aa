package contract

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// TestMalformedProtobuf: bytes that are no message are INVALID_BATCH, like any other
// malformed request, and not an error of the transport's own.
func TestMalformedProtobuf(t *testing.T) {
	rpc := grpcFace{sharedNode(t, "pebble")}
	for name, msg := range map[string]string{
		"nothing":                    "",
		"no tag":                     "\xff",
		"a tag of field 0":           "\x00\x01",
		"a length beyond the end":    "\x12\x7f\x0a",
		"a varint without an end":    "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"an unknown wire type":       "\x17",
		"a group without an end":     "\x13",
		"text":                       "this is no protobuf at all",
		"a million of the same byte": strings.Repeat("\x12", 1<<20),
	} {
		for _, method := range []string{"PutAll", "GetAll", "DeleteAll", "PutBundle", "Scan"} {
			if method == "Scan" && name == "nothing" {
				continue // an empty message: scan everything
			}
			t.Run(method+"/"+name, func(t *testing.T) {
				_, err := rpc.send(t, method, []byte(msg))
				if err == nil {
					t.Fatal("it was answered")
				}
				if got := grpcRefusal(t, err); got.code != sheaf.InvalidBatch {
					t.Errorf("refused with %s: %s", got.code, got.detail)
				}
			})
		}
	}
}

// TestEveryEncodingOfABatchIsTheSameBatch: protobuf has many encodings of one
// message. A retry may come in another, from another library, and is still a retry.
func TestEveryEncodingOfABatchIsTheSameBatch(t *testing.T) {
	rpc := grpcFace{sharedNode(t, "pebble")}
	k := t.Name()
	key := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), k)
	value := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "1")
	old := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "old")
	id := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), k)
	entry := func(fields ...[]byte) []byte {
		var body []byte
		for _, field := range fields {
			body = append(body, field...)
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), body)
	}
	var version uint64
	for i, msg := range [][]byte{
		append(append([]byte{}, id...), entry(key, value)...),
		append(entry(key, value), id...),                                    // fields in another order
		append(entry(value, key), id...),                                    // and within the entry
		append(entry(key, value, []byte{0x18, 0x00}), id...),                // a default that is written out
		append(entry(key, old, value), id...),                               // the last of a field counts
		append(entry(key, value, []byte("\x78\x01")), id...),                // a field of a later version
		append(append([]byte("\x78\x01"), entry(key, value)...), id...),     // and around the entries
		append(append([]byte{0x18, 0x01}, entry(key, value)...), id...),     // LINEARIZABLE, by its number
		append(append([]byte{0x92, 0x00}, entry(key, value)[1:]...), id...), // a tag longer than need be
	} {
		raw, err := rpc.send(t, "PutAll", msg)
		if err != nil {
			t.Errorf("encoding %d: %v", i, err)
			continue
		}
		var got sheafv1.PutAllResponse
		if err := proto.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if got.Replayed != (i > 0) || i > 0 && got.Version != version {
			t.Errorf("encoding %d is not the same batch: %v", i, &got)
		}
		version = got.Version
	}
}

// TestTheRequestIDMayTravelAsMetadata: the field and the metadata key are the same
// thing, and must agree.
func TestTheRequestIDMayTravelAsMetadata(t *testing.T) {
	rpc := grpcFace{sharedNode(t, "pebble")}
	k := t.Name()
	send := func(id string, pairs ...string) (*sheafv1.PutAllResponse, error) {
		msg, err := proto.Marshal(&sheafv1.PutAllRequest{RequestId: id, Entries: []*sheafv1.Entry{{Key: []byte(k)}}})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := rpc.send(t, "PutAll", msg, pairs...)
		var got sheafv1.PutAllResponse
		if err == nil {
			err = proto.Unmarshal(raw, &got)
		}
		return &got, err
	}
	if _, err := send(k); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", k} {
		if got, err := send(id, "idempotency-key", k); err != nil || !got.Replayed {
			t.Errorf("with the field %q it is another batch: %v %v", id, got, err)
		}
	}
	_, err := send(k, "idempotency-key", k+"other")
	if err == nil {
		t.Fatal("a field and metadata that differ were taken")
	}
	if got := grpcRefusal(t, err); got.code != sheaf.InvalidBatch || got.fields[0] != "request_id" {
		t.Errorf("refused with %s in %q", got.code, got.fields)
	}
}
