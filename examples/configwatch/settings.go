package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf/client"
)

// Settings are the live keys of a prefix, kept in memory and current by [Settings.Follow]. While no
// node can be reached they stay what they were.
type Settings struct {
	c       *client.Client
	prefix  string
	timeout time.Duration
	current atomic.Pointer[map[string]string] // a map that is never changed again
}

// NewSettings returns settings that are empty until they are followed. To read them for the first time
// may take as long as timeout.
func NewSettings(c *client.Client, prefix string, timeout time.Duration) *Settings {
	s := &Settings{c: c, prefix: prefix, timeout: timeout}
	s.current.Store(&map[string]string{})
	return s
}

// Current returns all settings by name, for a request to be worked on with. It costs nothing, may be
// called by many, and is never half of a change. The map must not be modified.
func (s *Settings) Current() map[string]string { return *s.current.Load() }

// Follow keeps the settings current until ctx ends, which is no error. It calls changed whenever they
// have been read and after each batch that changes them. It fails only if they cannot be read at first.
func (s *Settings) Follow(ctx context.Context, changed func(current map[string]string)) error {
	begin, stop := context.WithCancel(ctx)
	defer stop()
	giveUp := time.AfterFunc(s.timeout, stop)
	defer giveUp.Stop()
	next := make(map[string]string)
	publish := func() {
		current := maps.Clone(next)
		s.current.Store(&current)
		changed(current)
	}
	for update, err := range s.c.Sync(begin, []byte(s.prefix)) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("follow %s*: %w", s.prefix, err)
		}
		switch update.Step {
		case client.SyncRestart:
			clear(next) // readers keep what they had until all of it is here
		case client.SyncItems:
			for _, item := range update.Items {
				next[s.name(item.Key)] = string(item.Value)
			}
		case client.SyncComplete:
			giveUp.Stop()
			publish()
		case client.SyncEvent:
			for _, change := range update.Event.Changes {
				if change.Delete {
					delete(next, s.name(change.Key))
				} else {
					next[s.name(change.Key)] = string(change.Value)
				}
			}
			publish()
		}
	}
	return nil
}

func (s *Settings) name(key []byte) string { return strings.TrimPrefix(string(key), s.prefix) }
