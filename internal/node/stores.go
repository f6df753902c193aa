package node

import (
	"fmt"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/store/memory"
	"github.com/sheafdb/sheaf/internal/store/pebble"
)

// openStore opens a store, of the kind that the configuration names, in a directory.
func openStore(n *Node, dir string) (store.Store, error) {
	switch n.cfg.Store {
	case "pebble":
		cfg := pebble.DefaultConfig()
		cfg.FS, cfg.Dir, cfg.CacheBytes = n.opts.FS, dir, n.cfg.Pebble.CacheBytes
		cfg.Logger, cfg.Fatal, cfg.Damaged = n.opts.Logger, n.fail, n.setDamaged
		return opened(pebble.Open(cfg))
	case "memory":
		return opened(memory.Open(memory.Config{FS: n.opts.FS, Dir: dir, Table: memory.Sharded, Logger: n.opts.Logger}))
	case "syncmap":
		return opened(memory.Open(memory.Config{FS: n.opts.FS, Dir: dir, Table: memory.SyncMap, Logger: n.opts.Logger}))
	}
	return nil, fmt.Errorf("there is no store %q", n.cfg.Store)
}

// opened keeps a nil pointer from becoming a store that is not nil.
func opened[S store.Store](s S, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
