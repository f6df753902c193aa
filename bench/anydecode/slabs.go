package anydecode

import (
	"github.com/sheafdb/sheaf/anybatch"
	eventsv1 "github.com/sheafdb/sheaf/bench/events/v1"
)

// Slabs is package anybatch: the Anys are walked in place and decoded by generated
// code into slabs that are used again.
type Slabs struct {
	orders anybatch.Type[eventsv1.OrderCreated]
	users  anybatch.Type[eventsv1.UserUpdated]
	names  anybatch.Type[eventsv1.UserNamed]
	batch  *anybatch.Batch
}

// NewSlabs returns the way with the types of Input.
func NewSlabs(options ...anybatch.Option) (*Slabs, error) {
	var types anybatch.Builder
	s := &Slabs{
		orders: anybatch.Register[eventsv1.OrderCreated](&types, options...),
		users:  anybatch.Register[eventsv1.UserUpdated](&types, options...),
		names:  anybatch.Register[eventsv1.UserNamed](&types, options...),
	}
	registry, err := types.Build()
	if err != nil {
		return nil, err
	}
	s.batch = registry.NewBatch(anybatch.Limits{})
	return s, nil
}

// Decode does it.
func (s *Slabs) Decode(body []byte) (sum int64, err error) {
	s.batch.Reset()
	if err := s.batch.DecodeField(body, EventsField); err != nil {
		return 0, err
	}
	for _, m := range s.orders.In(s.batch).All() {
		sum += m.TotalCents
	}
	for _, m := range s.users.In(s.batch).All() {
		sum += int64(m.UserId)
	}
	for _, m := range s.names.In(s.batch).All() {
		sum += int64(len(m.Email))
	}
	return sum, nil
}
