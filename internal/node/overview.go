package node

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/peer"
	"github.com/sheafdb/sheaf/internal/replica"
)

// What nodes ask each other about the cluster, and how an overview of it is made: the node
// that is asked for one asks all others and joins what they say.

// inquiry is what one node asks another: exactly one field is set.
type inquiry struct {
	Summary  bool      `json:"summary,omitempty"`
	Transfer *transfer `json:"transfer,omitempty"`
}

// transfer asks the leader of a group to have another replica lead.
type transfer struct {
	Group uint64 `json:"group"`
	To    uint64 `json:"to"`
}

// summary is what a node says of itself.
type summary struct {
	Version string           `json:"version"`
	State   string           `json:"state"`
	GRPC    string           `json:"grpc"`
	HTTP    string           `json:"http"`
	Admin   string           `json:"admin"`
	Groups  []replica.Report `json:"groups"`
	// First is how many members the cluster began with, 0 where that is not known.
	First int `json:"first,omitempty"`
}

const (
	// askTime bounds what one node waits for another's summary.
	askTime = time.Second
	// transferTime bounds how long a change of the leader is waited for.
	transferTime = 3 * time.Second
	// startingRetry is the wait advised to who asks before the node serves.
	startingRetry = 500 * time.Millisecond
)

// answer answers another node.
func (n *Node) answer(ctx context.Context, request []byte) ([]byte, error) {
	var ask inquiry
	if err := json.Unmarshal(request, &ask); err != nil {
		return nil, err
	}
	switch {
	case !n.up.Load():
		return json.Marshal(summary{Version: n.opts.Version, State: *n.state.Load()})
	case ask.Transfer != nil:
		return nil, n.transfer(ctx, ask.Transfer)
	case ask.Summary:
		s, err := n.summary(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(s)
	}
	return nil, errors.New("this version does not understand what it is asked")
}

func (n *Node) summary(ctx context.Context) (summary, error) {
	s := summary{Version: n.opts.Version, State: *n.state.Load(), First: len(n.dir.identity.Members)}
	s.GRPC, s.HTTP, s.Admin = n.Addrs()
	for _, h := range n.hosted {
		report, err := h.group.Replicas(ctx)
		if err != nil {
			return s, err
		}
		s.Groups = append(s.Groups, report)
	}
	return s, nil
}

// members are those of the cluster; of a node alone, itself.
func (n *Node) members() []cluster.Member {
	if n.bridge == nil {
		return []cluster.Member{{ID: n.dir.identity.ID, Name: "this node"}}
	}
	return n.bridge.Members()
}

// Overview asks all members how they are.
func (n *Node) Overview(ctx context.Context) (*sheafv1.GetClusterResponse, error) {
	if !n.up.Load() {
		return nil, &sheaf.Error{Code: sheaf.Draining, Detail: n.notYet(), RetryAfter: startingRetry}
	}
	if err := n.gate.Read(); err != nil { // what it knows of the others is old
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	members := n.members()
	summaries, errs := n.gather(ctx, members)
	return overview(n.dir.identity.Cluster, len(n.hosted), members, summaries, errs), nil
}

// gather asks members for their summaries, all at once.
func (n *Node) gather(ctx context.Context, members []cluster.Member) ([]summary, []error) {
	summaries, errs := make([]summary, len(members)), make([]error, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() {
			if m.ID == n.dir.identity.ID {
				summaries[i], errs[i] = n.summary(ctx)
				return
			}
			summaries[i], errs[i] = n.ask(ctx, m.ID)
		})
	}
	asking.Wait()
	return summaries, errs
}

// leadersOf are the groups' leaders, in their own words: of several the one of the newest term.
// A group without one has a report that does not lead.
func leadersOf(groups int, summaries []summary, errs []error) []replica.Report {
	leaders := make([]replica.Report, groups)
	for i, s := range summaries {
		if errs[i] != nil {
			continue
		}
		for g, report := range s.Groups {
			if g < groups && report.Leading && report.Term > leaders[g].Term {
				leaders[g] = report
			}
		}
	}
	return leaders
}

// ask asks another node for its summary.
func (n *Node) ask(ctx context.Context, id uint64) (s summary, err error) {
	request, err := json.Marshal(inquiry{Summary: true})
	if err != nil {
		return s, err
	}
	answer, err := n.bridge.Ask(ctx, id, request)
	if err == nil {
		err = json.Unmarshal(answer, &s)
	}
	return s, err
}

// overview joins what the nodes say. What a leader says of its group counts.
func overview(name string, groups int, members []cluster.Member, summaries []summary, errs []error) *sheafv1.GetClusterResponse {
	out := &sheafv1.GetClusterResponse{Cluster: name}
	first := 0 // the first members have the first numbers, and each knows how many they were
	for _, s := range summaries {
		first = max(first, s.First)
	}
	for i, m := range members {
		node := &sheafv1.ClusterNode{First: m.ID <= uint64(first), Id: m.ID, Name: m.Name, PeerAddr: m.Addr}
		out.Nodes = append(out.Nodes, node)
		if errs[i] != nil {
			node.Error = errs[i].Error()
			if refused, ok := errors.AsType[*peer.RefusedError](errs[i]); ok && refused.Code == peer.CodeForming {
				node.State = stateForming
			}
			continue
		}
		s := &summaries[i]
		node.Version, node.State, node.GrpcAddr, node.HttpAddr, node.AdminAddr = s.Version, s.State, s.GRPC, s.HTTP, s.Admin
	}
	for g, report := range leadersOf(groups, summaries, errs) {
		group := &sheafv1.ClusterGroup{Group: uint64(g + 1), Term: report.Term, CommitIndex: report.Commit}
		if report.Leading {
			group.Leader = report.ID
		}
		for _, p := range report.Others {
			group.Replicas = append(group.Replicas, &sheafv1.ClusterReplica{
				Node: p.ID, Voter: !p.Learner, Active: p.Active, Lag: report.Last - min(p.Match, report.Last),
			})
		}
		out.Groups = append(out.Groups, group)
	}
	out.Problems = problems(out)
	return out
}
