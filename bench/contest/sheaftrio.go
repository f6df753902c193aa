package contest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// metricLeads is 1 on the node that leads a group.
const metricLeads = "sheaf_leads"

// SheafTrio returns what starts a cluster of three servers with this store and their
// defaults but for these flags of theirs, and writes at this level.
func SheafTrio(store string, level sheaf.Consistency, flags ...string) Start {
	return func(ctx context.Context, a *Arena, dir string) (Contestant, error) {
		return ServeSheafTrio(ctx, a, dir, store, level, flags...)
	}
}

// ServeSheafTrio is SheafTrio.
func ServeSheafTrio(ctx context.Context, a *Arena, dir, store string, level sheaf.Consistency, flags ...string) (*Served, error) {
	addrs, err := FreeAddrs()
	if err != nil {
		return nil, err
	}
	members := make([]string, len(addrs))
	for i, addr := range addrs {
		members[i] = ServerName(i) + "=" + addr
	}
	trio, err := StartTrio(ctx, func(i int) *exec.Cmd {
		return a.serve(ServerDir(dir, i), store, append([]string{"--node", ServerName(i), "--cluster", strings.Join(members, ",")}, flags...)...)
	})
	if err != nil {
		return nil, err
	}
	lines, err := trio.FirstLines(startTimeout)
	return connected(ctx, &Served{Servers: trio, level: level}, lines, err)
}

// FindLeader connects to the server that leads, unless the client is there already. With
// more than one group it is the server that leads most of them.
func (s *Served) FindLeader(ctx context.Context) error {
	leader := 0
	if len(s.nodes) > 1 {
		if _, err := Retry(ctx, startTimeout, func() (err error) {
			leader, err = mostLeading(ctx, s.nodes)
			return err
		}); err != nil {
			return err
		}
	}
	if s.client != nil && leader == s.leader {
		return nil
	}
	c, err := client.New(s.nodes[leader].grpc)
	if err != nil {
		return err
	}
	if s.client != nil {
		fmt.Fprintf(os.Stderr, "server %d leads instead of %d\n", s.PIDs()[leader], s.PIDs()[s.leader])
		err = s.client.Close()
	}
	s.client, s.leader = c, leader
	return err
}

// mostLeading asks the nodes which groups they lead.
func mostLeading(ctx context.Context, nodes []node) (int, error) {
	leader, most := 0, 0.0
	for i, n := range nodes {
		m, err := ReadMetrics(ctx, n.admin)
		if err != nil {
			return 0, err
		}
		groups := 0.0
		for _, metric := range m[metricLeads].GetMetric() {
			groups += metric.GetGauge().GetValue()
		}
		if groups > most {
			leader, most = i, groups
		}
	}
	if most == 0 {
		return 0, errors.New("no server leads")
	}
	return leader, nil
}
