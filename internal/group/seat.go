package group

import (
	"errors"
	"sync"

	"github.com/sheafdb/sheaf/internal/store"
)

// seat is the place of a group's store, which the state of another replica may take while
// the one before is still looked at: that one leaves when the last who uses it has gone.
// Apply and take are called by the applier alone.
type seat struct {
	mu  sync.Mutex
	now *tenant
}

// tenant is a store with how many use it, guarded by seat.mu.
type tenant struct {
	store.Store
	users int
	leave func() // not nil when it is to leave
}

func newSeat(s store.Store) *seat { return &seat{now: &tenant{Store: s}} }

func (s *seat) enter() *tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.users++
	return s.now
}

func (s *seat) exit(t *tenant) {
	s.mu.Lock()
	t.users--
	var leave func()
	if t.users == 0 {
		leave = t.leave
	}
	s.mu.Unlock()
	if leave != nil {
		leave()
	}
}

// take puts a store in the place of the one before. gone is called when that is not used
// any more.
func (s *seat) take(next store.Store, gone func(store.Store)) {
	s.mu.Lock()
	old := s.now
	s.now = &tenant{Store: next}
	old.leave = func() { gone(old.Store) }
	unused := old.users == 0
	s.mu.Unlock()
	if unused {
		old.leave()
	}
}

// Close does nothing: who opened the store closes it.
func (s *seat) Close() error { return nil }

func (s *seat) Apply(m *store.Mutations) error { return s.now.Apply(m) }

// View returns a view whose Close leaves the store.
func (s *seat) View() store.View {
	v := seatViews.Get().(*seatView)
	v.seat, v.tenant = s, s.enter()
	v.View = v.tenant.View()
	return v
}

type seatView struct {
	store.View
	seat   *seat
	tenant *tenant
}

var seatViews = sync.Pool{New: func() any { return new(seatView) }}

func (v *seatView) Close() error {
	if v.seat == nil {
		return errors.New("close view: it is closed")
	}
	err := v.View.Close()
	v.seat.exit(v.tenant)
	*v = seatView{}
	seatViews.Put(v)
	return err
}

func (s *seat) Scan(prefix, start []byte) (store.Cursor, store.Meta, error) {
	t := s.enter()
	cursor, meta, err := t.Scan(prefix, start)
	if err != nil {
		s.exit(t)
		return nil, store.Meta{}, err
	}
	return &seatCursor{cursor, s, t}, meta, nil
}

type seatCursor struct {
	store.Cursor
	seat   *seat
	tenant *tenant
}

func (c *seatCursor) Close() error {
	err := c.Cursor.Close()
	c.seat.exit(c.tenant)
	return err
}

func (s *seat) Durable() uint64 {
	t := s.enter()
	defer s.exit(t)
	return t.Durable()
}

func (s *seat) Flush() (uint64, error) {
	t := s.enter()
	defer s.exit(t)
	return t.Flush()
}

func (s *seat) FlushBytes() int64 {
	t := s.enter()
	defer s.exit(t)
	return t.FlushBytes()
}

func (s *seat) Copy(dir string) (store.Copied, error) {
	t := s.enter()
	defer s.exit(t)
	return t.Copy(dir)
}

// Image returns an image whose Close leaves the store.
func (s *seat) Image() (store.Image, error) {
	t := s.enter()
	image, err := t.Image()
	if err != nil {
		s.exit(t)
		return nil, err
	}
	return &seatImage{Image: image, seat: s, tenant: t}, nil
}

type seatImage struct {
	store.Image
	seat   *seat
	tenant *tenant
}

func (i *seatImage) Close() error {
	err := i.Image.Close()
	i.seat.exit(i.tenant)
	return err
}
