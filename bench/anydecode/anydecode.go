// Package anydecode decodes one batch of google.protobuf.Any in three ways: as a
// straightforward server does, with a registry of its own, and with package
// anybatch. It is here to be measured, and to test anybatch against the code that
// vtprotobuf generates, on which Sheaf itself does not depend.
//
// Every way visits every message and returns the same sum, so that none can skip
// work that another does.
package anydecode

import (
	"fmt"
	"math/rand/v2"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	eventsv1 "github.com/sheafdb/sheaf/bench/events/v1"
)

// EventsField is the number of the field of eventsv1.Batch that holds the Anys.
const EventsField = 2

// Input returns an encoded eventsv1.Batch of n messages, of two types in turns:
// of scalar fields only, or with three strings in every other message.
func Input(n int, strings bool) ([]byte, error) {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	batch := eventsv1.Batch{Source: "bench", Events: make([]*anypb.Any, n)}
	for i := range batch.Events {
		var m proto.Message
		switch {
		case i%2 == 0:
			m = &eventsv1.OrderCreated{
				OrderId: rng.Uint64N(1 << 40), UserId: rng.Uint64N(1 << 20), TotalCents: rng.Int64N(1 << 20),
				Items: rng.Uint32N(20), CreatedUnixMs: 1_700_000_000_000 + uint64(i), Discount: rng.Float64(),
			}
		case strings:
			id := rng.Uint64N(1 << 20)
			m = &eventsv1.UserNamed{
				UserId: fmt.Sprintf("user-%d", id), Name: fmt.Sprintf("Name of %d", id),
				Email: fmt.Sprintf("%d@example.com", id), UpdatedUnixMs: 1_700_000_000_000 + int64(i),
			}
		default:
			m = &eventsv1.UserUpdated{
				UserId: rng.Uint64N(1 << 20), UpdatedUnixMs: 1_700_000_000_000 + int64(i),
				Revision: rng.Uint32N(100), Active: i%4 == 1, Score: rng.Int32N(100) - 50,
			}
		}
		a, err := anypb.New(m)
		if err != nil {
			return nil, err
		}
		batch.Events[i] = a
	}
	return proto.Marshal(&batch)
}

// Way decodes an encoded eventsv1.Batch and visits every message, and returns
// the sum of what it took from them.
type Way interface {
	Decode(body []byte) (int64, error)
}

// value is what a visitor takes from a message.
func value(m proto.Message) int64 {
	switch m := m.(type) {
	case *eventsv1.OrderCreated:
		return m.TotalCents
	case *eventsv1.UserUpdated:
		return int64(m.UserId)
	case *eventsv1.UserNamed:
		return int64(len(m.Email))
	default:
		return 0
	}
}

// Plain is proto.Unmarshal, then UnmarshalNew for every message: the type comes
// from protobuf's global registry.
type Plain struct{}

// Decode does it.
func (Plain) Decode(body []byte) (sum int64, err error) {
	var batch eventsv1.Batch
	if err := proto.Unmarshal(body, &batch); err != nil {
		return 0, err
	}
	for _, a := range batch.Events {
		m, err := a.UnmarshalNew()
		if err != nil {
			return 0, err
		}
		sum += value(m)
	}
	return sum, nil
}

// Registered is proto.Unmarshal, then UnmarshalTo into a new message that a
// registry of constructors makes.
type Registered struct {
	makers map[string]func() proto.Message
}

// NewRegistered returns the way with the types of Input.
func NewRegistered() Registered {
	const prefix = "type.googleapis.com/events.v1."
	return Registered{map[string]func() proto.Message{
		prefix + "OrderCreated": func() proto.Message { return new(eventsv1.OrderCreated) },
		prefix + "UserUpdated":  func() proto.Message { return new(eventsv1.UserUpdated) },
		prefix + "UserNamed":    func() proto.Message { return new(eventsv1.UserNamed) },
	}}
}

// Decode does it.
func (r Registered) Decode(body []byte) (sum int64, err error) {
	var batch eventsv1.Batch
	if err := proto.Unmarshal(body, &batch); err != nil {
		return 0, err
	}
	for _, a := range batch.Events {
		maker := r.makers[a.TypeUrl]
		if maker == nil {
			return 0, fmt.Errorf("unknown type %q", a.TypeUrl)
		}
		m := maker()
		if err := a.UnmarshalTo(m); err != nil {
			return 0, err
		}
		sum += value(m)
	}
	return sum, nil
}
