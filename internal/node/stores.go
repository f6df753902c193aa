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
		groups := n.dir.identity.Groups
		cfg.FS, cfg.Dir = n.opts.FS, dir
		cfg.CacheBytes = max(n.cfg.Pebble.CacheBytes/int64(groups), 1<<20)
		cfg.RunBytes /= groups // what is staged is bounded for the node
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
