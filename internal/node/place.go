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

// place is where the state of the node's group is, and where others come from: it is a
// group.Place. The file STATE says which directory is the state, so that another takes its
// place in one step; without the file it is the first.
type place struct {
	node *Node

	mu      sync.Mutex
	now     store.Store
	state   stateFile
	retired map[store.Store]string // directories of states that are still looked at
	made    uint64                 // directories named so far
}

// stateFile is what STATE holds.
type stateFile struct {
	Dir string `json:"dir"`
	// Adopted is the log entry at which the state came from another node, 0 for none.
	Adopted uint64 `json:"adopted"`
}

const (
	stateName  = "STATE"
	firstState = "store"
	nextStates = "state-" // and a number
)

// openPlace opens the state that the data directory has, and removes what a node that ended
// left of others.
func openPlace(n *Node) (*place, error) {
	p := &place{node: n, state: stateFile{Dir: firstState}, retired: make(map[store.Store]string)}
	data, err := n.dir.read(stateName)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", n.dir.file(stateName), err)
	default:
		if err := json.Unmarshal(data, &p.state); err != nil || p.state.Dir == "" {
			return nil, store.Corruptf(n.dir.file(stateName), "it cannot be read: %v", err)
		}
	}
	if err := p.clean(); err != nil {
		return nil, err
	}
	p.now, err = openStore(n, n.dir.file(p.state.Dir))
	if err != nil {
		return nil, fmt.Errorf("open the %s store: %w", n.cfg.Store, err)
	}
	return p, nil
}

func (p *place) clean() error {
	names, err := p.node.dir.fs.List(p.node.dir.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == p.state.Dir || name != firstState && !strings.HasPrefix(name, nextStates) {
			continue
		}
		if err := p.node.dir.fs.RemoveAll(p.node.dir.file(name)); err != nil {
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
			return p.node.dir.file(name)
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
	state := stateFile{Dir: strings.TrimPrefix(strings.TrimPrefix(dir, p.node.dir.path), string(os.PathSeparator)), Adopted: index}
	data, err := json.Marshal(state)
	if err == nil {
		err = p.node.dir.write(stateName, append(data, '\n'))
	}
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	p.retired[p.now] = p.node.dir.file(p.state.Dir)
	p.now, p.state = next, state
	return next, nil
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
