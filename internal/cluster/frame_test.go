package cluster

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

func some[T any](v T) *T { return &v }

func testMessages() []*pb.Message {
	return []*pb.Message{
		{Type: pb.MsgHeartbeat.Enum(), From: some(uint64(1)), To: some(uint64(2)), Term: some(uint64(7)), Commit: some(uint64(9)), Context: []byte("read")},
		{Type: pb.MsgApp.Enum(), From: some(uint64(1)), To: some(uint64(2)), Term: some(uint64(7)), Index: some(uint64(40)), LogTerm: some(uint64(6)), Commit: some(uint64(39)), Entries: []*pb.Entry{
			{Term: some(uint64(7)), Index: some(uint64(41)), Data: []byte("small")},
			{Term: some(uint64(7)), Index: some(uint64(42)), Data: bytes.Repeat([]byte("large"), 4000)},
			{Term: some(uint64(7)), Index: some(uint64(43)), Type: pb.EntryConfChangeV2.Enum(), Data: []byte{1}},
			{Term: some(uint64(7)), Index: some(uint64(44)), Data: []byte{}},
		}},
		{Type: pb.MsgAppResp.Enum(), From: some(uint64(2)), To: some(uint64(1)), Reject: some(true), RejectHint: some(uint64(3))},
	}
}

func TestFramesArriveAsTheyWereSent(t *testing.T) {
	var f frame
	for i, m := range testMessages() {
		if err := f.add(uint64(i+1), m); err != nil {
			t.Fatal(err)
		}
	}
	var got []*pb.Message
	err := eachMessage(bytes.Join(f.finish(), nil), func(group uint64, m *pb.Message) {
		if group != uint64(len(got)+1) {
			t.Errorf("message %d is of group %d", len(got), group)
		}
		got = append(got, m)
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(testMessages(), got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// FuzzFrame: whatever arrives, nothing but an error comes of it; and what is read is written
// the same again.
func FuzzFrame(f *testing.F) {
	var fr frame
	for _, m := range testMessages() {
		if err := fr.add(3, m); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(bytes.Join(fr.finish(), nil))
	f.Add([]byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = eachMessage(data, func(group uint64, m *pb.Message) {
			var again frame
			if err := again.add(group, m); err != nil {
				return // text that is no UTF-8 and the like
			}
			err := eachMessage(bytes.Join(again.finish(), nil), func(g uint64, other *pb.Message) {
				if g != group || !proto.Equal(m, other) {
					t.Errorf("%v became %v", m, other)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	})
}
