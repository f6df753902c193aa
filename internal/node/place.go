package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/sheafdb/sheaf/internal/store"
)

// place is where the state of one of the node's groups is, and where others come from: it is
// a group.Place. The file STATE says which directory is the state, so that another takes its
// place in one step; without the file it is the first.
type place struct {
	node *Node
	// root is the directory of all this below the data directory; "" is that itself.
	root string

	mu      sync.Mutex
	now     store.Store
	state   stateFile
	retired map[store.Store]string // directories of states that are still looked at
	made    uint64                 // directories named so far
}

// stateFile is what STATE holds.
type stateFile struct {
	Dir string `json:"dir"`
	// Adopted is the log entry at which the state came from another node or a backup, 0 for
	// none.
	Adopted uint64 `json:"adopted"`
}

const (
	stateName  = "STATE"
	firstState = "store"
	nextStates = "state-" // and a number
)

// openPlace opens the state that the data directory has of a group, and removes what a node
// that ended left of others. The first group is in the data directory itself.
func openPlace(n *Node, group uint64) (*place, error) {
	p := &place{node: n, state: stateFile{Dir: firstState}, retired: make(map[store.Store]string)}
	if group > 1 {
		p.root = fmt.Sprintf("group-%d", group)
		if err := makeDir(n.dir.fs, n.dir.file(p.root)); err != nil {
			return nil, err
		}
	}
	data, err := n.dir.read(p.below(stateName))
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", p.file(stateName), err)
	default:
		if err := json.Unmarshal(data, &p.state); err != nil || p.state.Dir == "" {
			return nil, store.Corruptf(p.file(stateName), "it cannot be read: %v", err)
		}
	}
	if err := p.clean(); err != nil {
		return nil, err
	}
	p.now, err = openStore(n, p.file(p.state.Dir))
	if err != nil {
		return nil, fmt.Errorf("open the %s store: %w", n.cfg.Store, err)
	}
	return p, nil
}

// below is a name as it is below the data directory, file as the file system knows it.
func (p *place) below(name string) string { return p.node.dir.fs.PathJoin(p.root, name) }
func (p *place) file(name string) string  { return p.node.dir.file(p.below(name)) }

func (p *place) clean() error {
	names, err := p.node.dir.fs.List(p.file(""))
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == p.state.Dir || name != firstState && !strings.HasPrefix(name, nextStates) {
			continue
		}
		if err := p.node.dir.fs.RemoveAll(p.file(name)); err != nil {
			return fmt.Errorf("remove a state that was not taken over: %w", err)
		}
	}
	return nil
}

// current is the store of the state.
func (p *place) current() store.Store {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// ForCopy is part of group.Place.
func (p *place) ForCopy() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		p.made++
		name := fmt.Sprintf("%s%d", nextStates, p.made)
		if name != p.state.Dir {
			return p.file(name)
		}
	}
}

// Adopt is part of group.Place.
func (p *place) Adopt(dir string, index uint64) (store.Store, error) {
	next, err := openStore(p.node, dir)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	state := stateFile{Dir: p.node.dir.fs.PathBase(dir), Adopted: index}
	if err := p.noteState(state); err != nil {
		return nil, errors.Join(err, next.Close())
	}
	p.retired[p.now] = p.file(p.state.Dir)
	p.now, p.state = next, state
	return next, nil
}

// noteState writes STATE, durably and in one step.
func (p *place) noteState(state stateFile) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return p.node.dir.write(p.below(stateName), append(data, '\n'))
}

// Discard is part of group.Place.
func (p *place) Discard(s store.Store, dir string) {
	var err error
	if s != nil {
		p.mu.Lock()
		dir = p.retired[s]
		delete(p.retired, s)
		p.mu.Unlock()
		err = s.Close()
	}
	if err = errors.Join(err, p.node.dir.fs.RemoveAll(dir)); err != nil {
		p.node.opts.Logger.Warn("remove a state that nobody needs", "dir", dir, "err", err)
	}
}

// close closes the state, and those that are still looked at.
func (p *place) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	errs := []error{p.now.Close()}
	for s := range p.retired {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
