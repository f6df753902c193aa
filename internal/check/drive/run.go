package drive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// run is one run of a Config.
type run struct {
	Config
	recorder *history.Recorder
	counts   *Counts

	// load ends when no more steps are to be begun. work goes on until what was begun is
	// settled, and ends before that only when the history cannot be written.
	load, work context.Context
	fail       context.CancelCauseFunc

	trials, processes, values atomic.Int64
	// opaque: a node's clock is so far from ours that it refuses request IDs that tell
	// their age.
	opaque atomic.Bool
}

// Run does what the configuration says until its duration is over or ctx ends, settles what
// is unknown, and ends the history. Its error is one of the configuration or of the history;
// what servers answer is never an error here.
func Run(ctx context.Context, config Config, recorder *history.Recorder, counts *Counts) error {
	work, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	load, stop := context.WithTimeout(ctx, config.Duration)
	defer stop()
	context.AfterFunc(work, stop)
	r := &run{Config: config, recorder: recorder, counts: counts, load: load, work: work, fail: fail}
	teams, err := r.teams()
	defer func() {
		for _, t := range teams {
			t.close()
		}
	}()
	if err != nil {
		return err
	}
	quiet, err := r.pulses()
	defer quiet()
	if err != nil {
		return err
	}
	var working sync.WaitGroup
	for _, t := range teams {
		working.Go(t.goOn)
	}
	working.Wait()
	quiet()
	if err := context.Cause(work); err != nil {
		return err
	}
	return recorder.End(ctx.Err() != nil)
}

// teams divides the clients over the workloads, and those of a workload into teams of at most
// teamClients.
func (r *run) teams() (teams []*team, err error) {
	clients := 0
	for i, name := range r.Workloads {
		n := r.Clients / len(r.Workloads)
		if i < r.Clients%len(r.Workloads) {
			n++
		}
		for parts := (n + teamClients - 1) / teamClients; parts > 0; parts-- {
			size := n / parts
			n -= size
			t, err := r.team(find(name), clients, size)
			teams = append(teams, t)
			if err != nil {
				return teams, err
			}
			clients += size
		}
	}
	return teams, nil
}

func (r *run) team(w *workload, firstClient, size int) (*team, error) {
	t := &team{run: r, workload: w, rng: r.rng(firstClient, 1)}
	for _, endpoint := range r.Endpoints {
		n, err := r.connect(endpoint)
		if err != nil {
			return t, err
		}
		t.nodes = append(t.nodes, n)
	}
	everywhere, err := r.connect(strings.Join(r.Endpoints[:min(len(r.Endpoints), mostAtOnce)], ","))
	if err != nil {
		return t, err
	}
	t.everywhere = everywhere
	for i := range size {
		c := &caller{team: t, client: firstClient + i + 1, rng: r.rng(firstClient+i, 0)}
		c.renew()
		t.callers = append(t.callers, c)
	}
	return t, nil
}

// mostAtOnce is how many nodes one client takes.
const mostAtOnce = 32

func (r *run) connect(addr string) (*node, error) {
	conn, err := client.New(addr, append([]client.Option{client.WithTimeout(r.CallTimeout)}, r.Options...)...)
	return &node{addr, conn}, err
}

func (r *run) rng(client, purpose int) *rand.Rand {
	return rand.New(rand.NewPCG(r.Seed, uint64(client)<<1|uint64(purpose)))
}

// fresh is a value that nobody has written.
func (r *run) fresh() string { return fmt.Sprintf("v%d", r.values.Add(1)) }
