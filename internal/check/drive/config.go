package drive

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// teamClients is the most clients that work on one trial.
const teamClients = 5

// Config says what to do.
type Config struct {
	// Endpoints are the nodes' gRPC addresses, host:port.
	Endpoints []string
	// Options are for the client of each endpoint.
	Options []client.Option
	// Workloads are some of Names.
	Workloads []string
	// Level is that of the calls of register and batches. The others have theirs.
	Level sheaf.Consistency
	// Duration is how long new steps are begun.
	Duration time.Duration
	// Clients is how many there are, of all workloads together.
	Clients int
	// Seed decides what the clients do; when, is up to the machine.
	Seed uint64
	// Prefix is that of every key. Nobody else may use it.
	Prefix string
	// CallTimeout bounds one call.
	CallTimeout time.Duration
	// Settle is how long unknown outcomes, last reads and the ends of watches are tried at the
	// end of a trial.
	Settle time.Duration
}

// Names are the workloads that can be had at a level.
func Names(level sheaf.Consistency) (names []string) {
	for _, w := range workloads {
		if w.has(level) {
			names = append(names, w.name)
		}
	}
	return names
}

// DefaultConfig is a half minute of everything against a node of this machine.
func DefaultConfig() Config {
	return Config{
		Endpoints: []string{"127.0.0.1:7450"}, Workloads: Names(sheaf.Linearizable), Level: sheaf.Linearizable,
		Duration: 30 * time.Second, Clients: 4 * len(workloads), CallTimeout: 3 * time.Second, Settle: 30 * time.Second,
	}
}

// Validate says what is wrong.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Endpoints) == 0 || slices.Contains(c.Endpoints, "") {
		errs = append(errs, errors.New("an endpoint is empty"))
	}
	if len(c.Workloads) == 0 {
		errs = append(errs, errors.New("there is no workload"))
	}
	for _, name := range c.Workloads {
		switch w := find(name); {
		case w == nil:
			errs = append(errs, fmt.Errorf("there is no workload %q: there are %s", name, strings.Join(Names(sheaf.Linearizable), ", ")))
		case !w.has(c.Level):
			errs = append(errs, fmt.Errorf("workload %s checks a promise of LINEARIZABLE and has no other level", name))
		}
	}
	if c.Level == sheaf.Eventual {
		errs = append(errs, errors.New("the level EVENTUAL is that of the workload eventual alone"))
	}
	if least := 2 * len(c.Workloads); c.Clients < least {
		errs = append(errs, fmt.Errorf("%d clients are too few: %d workloads need %d", c.Clients, len(c.Workloads), least))
	}
	if c.Duration <= 0 || c.CallTimeout <= 0 || c.Settle <= 0 {
		errs = append(errs, errors.New("the durations must be positive"))
	}
	if c.Prefix == "" {
		errs = append(errs, errors.New("the prefix is empty: the keys would be anybody's"))
	}
	return errors.Join(errs...)
}
