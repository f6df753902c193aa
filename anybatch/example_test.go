package anybatch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sheafdb/sheaf/anybatch"
)

// mustAny stands for what a sender does.
func mustAny(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		log.Fatal(err)
	}
	return a
}

// By type, and in the order of the input.
func Example() {
	var types anybatch.Builder
	times := anybatch.Register[timestamppb.Timestamp](&types)
	durations := anybatch.Register[durationpb.Duration](&types)
	registry, err := types.Build()
	if err != nil {
		log.Fatal(err)
	}

	batch := registry.NewBatch(anybatch.Limits{Messages: 10_000})
	err = batch.Decode([]*anypb.Any{
		mustAny(durationpb.New(time.Second)),
		mustAny(timestamppb.New(time.Unix(1_000_000, 0))),
		mustAny(durationpb.New(time.Minute)),
	})
	if err != nil {
		log.Fatal(err)
	}

	for _, d := range durations.In(batch).All() {
		fmt.Println(d.AsDuration())
	}
	for i, ref := range batch.All() {
		switch ref.Type {
		case times.ID():
			fmt.Println(i, times.In(batch).At(ref.Slot).AsTime().Unix())
		case durations.ID():
			fmt.Println(i, durations.In(batch).At(ref.Slot).AsDuration())
		}
	}
	batch.Reset() // before the next: its messages are used again
	// Output:
	// 1s
	// 1m0s
	// 0 1s
	// 1 1000000
	// 2 1m0s
}

// A stream of any length, one batch at a time.
func ExampleStream() {
	var types anybatch.Builder
	durations := anybatch.Register[durationpb.Duration](&types)
	registry, err := types.Build()
	if err != nil {
		log.Fatal(err)
	}
	var wire bytes.Buffer
	for i := range 5 {
		if _, err := protodelim.MarshalTo(&wire, mustAny(durationpb.New(time.Duration(i)*time.Hour))); err != nil {
			log.Fatal(err)
		}
	}

	stream := anybatch.NewStream(&wire)
	batch := registry.NewBatch(anybatch.Limits{Messages: 2})
	for {
		err := stream.Fill(batch)
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("a batch of", batch.Len())
		for _, d := range durations.In(batch).All() {
			fmt.Println(d.AsDuration())
		}
	}
	// Output:
	// a batch of 2
	// 0s
	// 1h0m0s
	// a batch of 2
	// 2h0m0s
	// 3h0m0s
	// a batch of 1
	// 4h0m0s
}

// What stands before a failure is usable.
func ExampleError() {
	var types anybatch.Builder
	durations := anybatch.Register[durationpb.Duration](&types)
	registry, err := types.Build()
	if err != nil {
		log.Fatal(err)
	}
	batch := registry.NewBatch(anybatch.Limits{})
	err = batch.Decode([]*anypb.Any{
		mustAny(durationpb.New(time.Second)),
		mustAny(timestamppb.New(time.Unix(1_000_000, 0))),
	})
	if errors.Is(err, anybatch.ErrUnknownType) {
		fmt.Println(err)
	}
	fmt.Println("decoded:", durations.In(batch).Len())
	// Output:
	// anybatch: message 1 of type "type.googleapis.com/google.protobuf.Timestamp": type is not registered
	// decoded: 1
}
