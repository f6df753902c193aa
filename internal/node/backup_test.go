package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/backup"
)

// bank is load whose state tells whether it is whole: transfers between accounts, whose sum
// stays, and writers each of which gives all of its keys, in all groups, the same number.
type bank struct {
	t       *testing.T
	clients []*client.Client
	acked   [bankWriters]atomic.Int64 // the last number of each writer
	moved   atomic.Int64
	stop    chan struct{}
	running sync.WaitGroup
}

const (
	bankAccounts = 12
	bankStart    = 1000
	bankWriters  = 3
	bankKeys     = 8 // of each writer
)

func account(i int) []byte    { return fmt.Appendf(nil, "account-%d", i) }
func striped(w, k int) []byte { return fmt.Appendf(nil, "writer-%d-%d", w, k) }

// openBank fills the accounts and begins.
func openBank(t *testing.T, clients ...*client.Client) *bank {
	t.Helper()
	b := &bank{t: t, clients: clients, stop: make(chan struct{})}
	var entries []sheaf.Entry
	for i := range bankAccounts {
		entries = append(entries, sheaf.Put(account(i), fmt.Sprint(bankStart)))
	}
	if _, err := clients[0].PutAll(t.Context(), entries, client.WithRequestID("opening")); err != nil {
		t.Fatal(err)
	}
	for w := range bankWriters {
		b.running.Go(func() { b.write(w) })
		b.running.Go(func() { b.transfer(rand.New(rand.NewPCG(uint64(w), 1))) })
	}
	t.Cleanup(b.close)
	return b
}

func (b *bank) close() {
	select {
	case <-b.stop:
	default:
		close(b.stop)
	}
	b.running.Wait()
}

func (b *bank) over() bool {
	select {
	case <-b.stop:
		return true
	default:
		return false
	}
}

func (b *bank) write(w int) {
	for round := int64(1); !b.over(); round++ {
		var entries []sheaf.Entry
		for k := range bankKeys {
			entries = append(entries, sheaf.Put(striped(w, k), fmt.Sprint(round)))
		}
		if _, err := b.clients[w%len(b.clients)].PutAll(context.Background(), entries); err != nil {
			b.t.Errorf("writer %d: %v", w, err)
			return
		}
		b.acked[w].Store(round)
	}
}

func (b *bank) transfer(rng *rand.Rand) {
	for !b.over() {
		from, to := rng.IntN(bankAccounts), rng.IntN(bankAccounts)
		if from == to {
			continue
		}
		_, err := b.clients[rng.IntN(len(b.clients))].OnConflict(context.Background(), [][]byte{account(from), account(to)}, func(v client.Values) ([]sheaf.Entry, error) {
			var amounts [2]int
			for i := range amounts {
				if _, err := fmt.Sscan(string(v.Items[i].Value), &amounts[i]); err != nil {
					return nil, err
				}
			}
			return []sheaf.Entry{
				sheaf.Put(account(from), fmt.Sprint(amounts[0]-1)), sheaf.Put(account(to), fmt.Sprint(amounts[1]+1)),
			}, nil
		})
		if err == nil {
			b.moved.Add(1)
		} else if !errors.Is(err, sheaf.ETagMismatch) && !errors.Is(err, sheaf.Contention) {
			b.t.Errorf("transfer: %v", err)
			return
		}
	}
}

// taken is a backup, and what was acknowledged before it.
type taken struct {
	file  []byte
	acked [bankWriters]int64
}

func (b *bank) backup(c *client.Client) taken {
	b.t.Helper()
	for moved, end := b.moved.Load(), time.Now().Add(patience); b.moved.Load() < moved+5; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatal("nothing is transferred")
		}
	}
	var tk taken
	for w := range tk.acked {
		tk.acked[w] = b.acked[w].Load()
	}
	var file bytes.Buffer
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if _, err := c.Backup(ctx, &file); err != nil {
		b.t.Fatalf("backup: %v", err)
	}
	tk.file = file.Bytes()
	return tk
}

// mustHold judges a state that was restored.
func (tk *taken) mustHold(t *testing.T, c *client.Client) {
	t.Helper()
	var keys [][]byte
	for i := range bankAccounts {
		keys = append(keys, account(i))
	}
	values, err := c.GetAll(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, item := range values.Items {
		var amount int
		if _, err := fmt.Sscan(string(item.Value), &amount); err != nil {
			t.Fatalf("%q has %q: %v", item.Key, item.Value, err)
		}
		sum += amount
	}
	if sum != bankAccounts*bankStart {
		t.Errorf("the accounts have %d together, want %d: half a transfer", sum, bankAccounts*bankStart)
	}
	for w := range bankWriters {
		var first string
		for k := range bankKeys {
			item, err := c.Get(t.Context(), striped(w, k))
			if err != nil {
				if tk.acked[w] == 0 && errors.Is(err, sheaf.NotFound) {
					continue
				}
				t.Fatalf("key %q: %v", striped(w, k), err)
			}
			if k == 0 {
				first = string(item.Value)
			}
			if string(item.Value) != first {
				t.Errorf("writer %d: %s and %s: half a batch", w, first, item.Value)
			}
		}
		var round int64
		if _, _ = fmt.Sscan(first, &round); round < tk.acked[w] {
			t.Errorf("writer %d: round %d was acknowledged before, and %q is there", w, tk.acked[w], first)
		}
	}
}

// restore makes a node of a backup and starts it.
func (tk *taken) restore(t *testing.T, store, name, peerAddr string) *Node {
	t.Helper()
	cfg := testConfig(filepath.Join(t.TempDir(), "restored"))
	cfg.Store, cfg.Node, cfg.PeerAddr = store, name, peerAddr
	if _, err := Restore(t.Context(), bytes.NewReader(tk.file), RestoreOptions{Dir: cfg.DataDir, Store: store}); err != nil {
		t.Fatalf("restore: %v", err)
	}
	return start(t, cfg)
}

// TestABackupUnderLoadIsOneState: of one group and of four, from one kind of store to another.
func TestABackupUnderLoadIsOneState(t *testing.T) {
	t.Parallel()
	for _, groups := range []int{1, 4} {
		for _, store := range []string{"pebble", "memory"} {
			t.Run(fmt.Sprintf("groups=%d/store=%s", groups, store), func(t *testing.T) {
				cfg := testConfig(t.TempDir())
				cfg.Store, cfg.Groups = store, groups
				c := clientOf(t, start(t, cfg))
				b := openBank(t, c)
				var all []taken
				for range 3 {
					all = append(all, b.backup(c))
				}
				b.close()
				other := map[string]string{"pebble": "memory", "memory": "pebble"}[store]
				for i, tk := range all {
					kind := store
					if i%2 == 0 {
						kind = other
					}
					tk.mustHold(t, clientOf(t, tk.restore(t, kind, "", "")))
				}
			})
		}
	}
}

// TestABackupOfAClusterIsOneState, whichever node is asked, also one that leads nothing.
func TestABackupOfAClusterIsOneState(t *testing.T) {
	t.Parallel()
	for _, groups := range []int{1, 4} {
		t.Run(fmt.Sprint("groups=", groups), func(t *testing.T) {
			tr := newTrioOf(t, "memory", groups)
			clients := []*client.Client{tr.client(0), tr.client(1), tr.client(2)}
			b := openBank(t, clients...)
			var all []taken
			for i := range 3 {
				all = append(all, b.backup(clients[i%3]))
			}
			b.close()
			for _, tk := range all {
				tk.mustHold(t, clientOf(t, tk.restore(t, "memory", "", "")))
			}
		})
	}
}

// TestARestoredNodeRemembers request IDs and times to live, and gives no version again.
func TestARestoredNodeRemembers(t *testing.T) {
	t.Parallel()
	for groups, store := range map[int]string{1: "pebble", 4: "memory"} {
		t.Run(fmt.Sprintf("groups=%d/store=%s", groups, store), func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			cfg.Store, cfg.Groups = store, groups
			c := clientOf(t, start(t, cfg))
			ctx := t.Context()
			var entries []sheaf.Entry
			for k := range 20 {
				entries = append(entries, sheaf.Put(fmt.Sprint("key-", k), "1"))
			}
			first, err := c.PutAll(ctx, entries, client.WithRequestID("first"))
			if err != nil {
				t.Fatal(err)
			}
			refused := []sheaf.Entry{sheaf.Put("key-1", "2").OnlyIfVersion(first.Version + 7)}
			if _, err := c.PutAll(ctx, refused, client.WithRequestID("refused")); !errors.Is(err, sheaf.VersionMismatch) {
				t.Fatal(err)
			}
			for key, ttl := range map[string]time.Duration{"short": 1500 * time.Millisecond, "long": time.Hour} {
				if _, err := c.Put(ctx, []byte(key), []byte("v"), client.WithTTL(ttl)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Put(ctx, []byte("deleted"), []byte("v")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Delete(ctx, []byte("deleted")); err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if _, err := c.Backup(ctx, &file); err != nil {
				t.Fatal(err)
			}
			after, err := c.Put(ctx, []byte("key-0"), []byte("lost"))
			if err != nil {
				t.Fatal(err)
			}

			tk := taken{file: file.Bytes()}
			restored := clientOf(t, tk.restore(t, store, "", ""))
			again, err := restored.PutAll(ctx, entries, client.WithRequestID("first"))
			if err != nil || !again.Replayed || again.Version != first.Version || again.ETag != first.ETag {
				t.Errorf("the retry of %+v is answered %+v, %v", first, again, err)
			}
			if _, err := restored.PutAll(ctx, refused, client.WithRequestID("refused")); !errors.Is(err, sheaf.VersionMismatch) {
				t.Errorf("the retry of a refusal: %v", err)
			}
			item, err := restored.Get(ctx, []byte("key-0"))
			if err != nil || string(item.Value) != "1" || item.Version != first.Version {
				t.Errorf("%+v, %v", item, err)
			}
			if _, err := restored.Put(ctx, []byte("key-0"), []byte("x"), client.IfMatch(after.ETag)); !errors.Is(err, sheaf.ETagMismatch) {
				t.Errorf("an ETag of what was lost: %v", err)
			}
			written, err := restored.Put(ctx, []byte("key-0"), []byte("new"), client.After(after.Version))
			if err != nil || written.Version <= after.Version || written.ETag == after.ETag {
				t.Errorf("after the lost version %d: %+v, %v", after.Version, written, err)
			}
			if _, err := restored.Get(ctx, []byte("long")); err != nil {
				t.Errorf("a key with time to live: %v", err)
			}
			if _, err := restored.Get(ctx, []byte("deleted")); !errors.Is(err, sheaf.NotFound) {
				t.Errorf("a deleted key: %v", err)
			}
			for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
				if _, err = restored.Get(ctx, []byte("short")); errors.Is(err, sheaf.NotFound) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("its time to live is over: %v", err)
				}
			}
		})
	}
}

// TestARestoredNodeGrowsToThree, through restarts: its state is in no log.
func TestARestoredNodeGrowsToThree(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"pebble", "memory"} {
		t.Run(store, func(t *testing.T) {
			old := newCrew(t, store, 3)
			old.put("n1", 1)
			old.put("n1", 2)
			var file bytes.Buffer
			if _, err := clientOf(t, old.nodes["n1"]).Backup(t.Context(), &file); err != nil {
				t.Fatal(err)
			}
			cluster := old.nodes["n1"].dir.identity.Cluster
			old.stop("n1")

			cfg := old.cfgs["n1"]
			cfg.DataDir, cfg.Groups = t.TempDir(), 0
			if _, err := Restore(t.Context(), &file, RestoreOptions{Dir: cfg.DataDir, Store: store}); err != nil {
				t.Fatal(err)
			}
			c := &crew{t: t, store: store, nodes: old.nodes, cfgs: old.cfgs}
			c.start("n1", cfg)
			if name := c.nodes["n1"].dir.identity.Cluster; name == cluster || name == "" {
				t.Errorf("the restored cluster is called %q, as the old one", name)
			}
			c.mustShow("n1", 2)
			c.join("n2", "n1")
			c.join("n3", "n2")
			c.mustHaveVoters("n1", "n2", "n3")
			c.put("n3", 3)
			c.stop("n1")
			c.put("n2", 4)
			c.start("n1", c.cfgs["n1"])
			c.mustShow("n1", 4)
		})
	}
}

// smallBackup is a backup of a node with some keys.
func smallBackup(t *testing.T) []byte {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.Groups = 2
	c := clientOf(t, start(t, cfg))
	for k := range 50 {
		if _, err := c.Put(t.Context(), fmt.Append(nil, "key-", k), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if _, err := c.Backup(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestADamagedBackupRestoresNothing: the directory is as empty as before.
func TestADamagedBackupRestoresNothing(t *testing.T) {
	file := smallBackup(t)
	for name, damaged := range map[string][]byte{
		"flipped": append(append(bytes.Clone(file[:len(file)/2]), file[len(file)/2]^1), file[len(file)/2+1:]...),
		"cut off": file[:len(file)-10],
		"garbage": append(bytes.Clone(file), "more"...),
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new")
			_, err := Restore(t.Context(), bytes.NewReader(damaged), RestoreOptions{Dir: dir, Store: "memory"})
			if !errors.Is(err, backup.ErrDamaged) {
				t.Fatalf("%v", err)
			}
			if entries, err := os.ReadDir(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("left behind: %v, %v", entries, err)
			}
			// And so it can be used.
			if _, err := Restore(t.Context(), bytes.NewReader(file), RestoreOptions{Dir: dir, Store: "memory"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestARestoreWantsAnEmptyDirectory, and touches no other.
func TestARestoreWantsAnEmptyDirectory(t *testing.T) {
	file := smallBackup(t)
	cfg := testConfig(t.TempDir())
	if err := os.WriteFile(filepath.Join(cfg.DataDir, "mine"), []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Restore(t.Context(), bytes.NewReader(file), RestoreOptions{Dir: cfg.DataDir, Store: "memory"})
	if err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(filepath.Join(cfg.DataDir, "mine")); err != nil || string(data) != "keep" {
		t.Errorf("%q, %v", data, err)
	}
	if entries, err := os.ReadDir(cfg.DataDir); err != nil || len(entries) != 1 {
		t.Errorf("it has %v, %v", entries, err)
	}
	running := testConfig(t.TempDir())
	start(t, running)
	if _, err := Restore(t.Context(), bytes.NewReader(file), RestoreOptions{Dir: running.DataDir, Store: "memory"}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("%v", err)
	}
}

// TestARestoreThatWasCutShortIsNoNode: the power goes at any operation of it on the disk. What is
// left is refused, and restored the second time, unless it is whole.
func TestARestoreThatWasCutShortIsNoNode(t *testing.T) {
	t.Parallel()
	file := smallBackup(t)
	for _, store := range []string{"memory", "pebble"} {
		t.Run(store, func(t *testing.T) {
			cfg := testConfig("/var/node")
			cfg.Store = store
			fs := vfs.NewCrashableMem()
			count, every := 0, 3
			var left []*vfs.MemFS
			var mu sync.Mutex
			crashing := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				if count++; count%every == 0 || op.Kind == errorfs.OpRemove || op.Kind == errorfs.OpRename {
					left = append(left, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: count % 101, RNG: rand.New(rand.NewPCG(uint64(count), 1))}))
				}
				return nil
			}))
			if _, err := Restore(t.Context(), bytes.NewReader(file), RestoreOptions{Dir: cfg.DataDir, Store: store, FS: crashing}); err != nil {
				t.Fatal(err)
			}
			left = append(left, fs.CrashClone(vfs.CrashCloneCfg{}))
			whole, refused := 0, 0
			for i, fs := range left {
				names, _ := fs.List(cfg.DataDir)
				if names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(notRestored, name) }); len(names) == 0 {
					continue // it had not begun
				}
				if n, err := Start(t.Context(), cfg, Options{FS: fs}); err == nil {
					whole++
					for k := range 50 {
						if _, err := clientOf(t, n).Get(t.Context(), fmt.Append(nil, "key-", k)); err != nil {
							t.Errorf("cut %d: the node starts, and key %d: %v", i, k, err)
						}
					}
					if err := n.Stop(t.Context()); err != nil {
						t.Error(err)
					}
					continue
				} else if !strings.Contains(err.Error(), "run \"sheaf restore\" again") {
					t.Errorf("cut %d: %v", i, err)
				}
				refused++
				if refused%4 != 0 {
					continue
				}
				if _, err := Restore(t.Context(), bytes.NewReader(file), RestoreOptions{Dir: cfg.DataDir, Store: store, FS: fs}); err != nil {
					t.Errorf("again after cut %d: %v", i, err)
				}
			}
			t.Logf("%d operations, %d cuts: %d refused, %d whole", count, len(left), refused, whole)
			if refused < 10 || whole == 0 {
				t.Errorf("of %d cuts %d were refused and %d whole: that shows little", len(left), refused, whole)
			}
		})
	}
}

// TestANodeMakesOneBackupAtATime, and a caller who goes away ends his.
func TestANodeMakesOneBackupAtATime(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Groups = 2
	n := start(t, cfg)
	c := clientOf(t, n)
	if _, err := c.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("a", "1"), sheaf.Put("b", "1"), sheaf.Put("c", "1")}); err != nil {
		t.Fatal(err)
	}
	began, ended := make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		ended <- n.Backup(ctx, func([]byte) error {
			select {
			case <-began:
			default:
				close(began)
				<-ctx.Done()
			}
			return nil
		})
	}()
	<-began
	if _, err := c.Backup(t.Context(), io.Discard); !errors.Is(err, sheaf.RateLimited) {
		t.Errorf("a second backup: %v", err)
	}
	// Writers and flushes do not wait for who is slow to take it.
	if _, err := c.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("a", "2"), sheaf.Put("b", "2"), sheaf.Put("c", "2")}); err != nil {
		t.Error(err)
	}
	for _, h := range n.hosted {
		if _, err := h.place.current().Flush(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, sheaf.NotProposed) {
		t.Errorf("a caller who has gone: %v", err)
	}
	if _, err := c.Backup(t.Context(), io.Discard); err != nil {
		t.Errorf("the next backup: %v", err)
	}
	for _, h := range n.hosted {
		names, err := os.ReadDir(h.place.file(""))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasPrefix(name.Name(), nextStates) {
				t.Errorf("group %d: %s is left behind", h.id, name.Name())
			}
		}
	}
}
