package client

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// inMemory answers without a network.
type inMemory struct {
	KeyValues
	entries []sheaf.Entry
	values  Values
}

func (m *inMemory) PutAll(_ context.Context, entries []sheaf.Entry, _ ...WriteOption) (Result, error) {
	m.entries = entries
	return Result{}, nil
}

func (m *inMemory) GetAll(context.Context, [][]byte, ...ReadOption) (Values, error) {
	return m.values, nil
}

func TestEqualValuesAreEqualBatches(t *testing.T) {
	values := map[string]*structpb.Struct{}
	for i := range 20 {
		value, err := structpb.NewStruct(map[string]any{"a": 1, "b": "2", "c": true, "d": nil})
		if err != nil {
			t.Fatal(err)
		}
		values[fmt.Sprint(i)] = value
	}
	kv := &inMemory{}
	structs := TypedProto[structpb.Struct](kv, "s/")
	var first []sheaf.Entry
	for range 20 {
		if _, err := structs.PutAll(t.Context(), values); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = kv.entries
		} else if diff := cmp.Diff(first, kv.entries); diff != "" {
			t.Fatalf("the same map became another batch: %s", diff)
		}
	}
	if string(first[0].Key) != "s/0" || !proto.Equal(values["0"], mustStruct(t, first[0].Value)) {
		t.Errorf("the first entry is %+v", first[0])
	}
}

func mustStruct(t *testing.T, data []byte) *structpb.Struct {
	t.Helper()
	var value structpb.Struct
	if err := proto.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	return &value
}

func TestTypedMessagesAllocatePerCallAndNotPerValue(t *testing.T) {
	kv := &inMemory{}
	numbers := TypedProto[wrapperspb.Int64Value](kv, "numbers/")
	values, keys := map[string]*wrapperspb.Int64Value{}, []string{}
	for i := range 1000 {
		key := fmt.Sprint(i)
		values[key], keys = wrapperspb.Int64(int64(i)), append(keys, key)
	}
	ctx := context.Background()
	puts := testing.AllocsPerRun(10, func() {
		if _, err := numbers.PutAll(ctx, values); err != nil {
			t.Fatal(err)
		}
	})
	kv.values.Items = nil
	for _, key := range keys {
		data, err := proto.Marshal(values[key])
		if err != nil {
			t.Fatal(err)
		}
		kv.values.Items = append(kv.values.Items, sheaf.Item{Key: numbers.Key(key), Value: data, TypeURL: kv.entries[0].TypeURL, Found: true})
	}
	gets := testing.AllocsPerRun(10, func() {
		got, err := numbers.GetAll(ctx, keys)
		if err != nil || got.Items[999].Value.GetValue() != 999 {
			t.Fatalf("%v, %v", got.Items[999], err)
		}
	})
	if puts > 3 || gets > 5 {
		t.Errorf("1,000 values: %v allocations to put and %v to get, want 3 and 5", puts, gets)
	}
}

func TestItemsOfOneTypeShareItsName(t *testing.T) {
	kv := &inMemory{}
	if _, err := TypedProto[wrapperspb.Int64Value](kv, "").PutAll(t.Context(), map[string]*wrapperspb.Int64Value{"a": wrapperspb.Int64(1)}); err != nil {
		t.Fatal(err)
	}
	var answer []byte
	for range 1000 {
		item := protoItem(kv.entries[0])
		answer = append(append(answer, 1<<3|2, byte(len(item))), item...)
	}
	if n := testing.AllocsPerRun(10, func() {
		if values, ok := decodeValues(answer, 1000); !ok || values.Items[999].TypeURL != kv.entries[0].TypeURL {
			t.Fatal("not decoded")
		}
	}); n > 2 {
		t.Errorf("%v allocations to decode 1,000 items of one type, want 2", n)
	}
}

func protoItem(e sheaf.Entry) []byte {
	item, err := proto.Marshal(&sheafv1.Item{Key: e.Key, Value: e.Value, Version: 1, Found: true, TypeUrl: e.TypeURL})
	if err != nil {
		panic(err)
	}
	return item
}
