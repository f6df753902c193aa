package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unsafe"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// etcd is an etcd server, or a cluster of them, and a client of the one that leads; a
// batch is one transaction. By default a transaction holds 128 puts, so its limit is
// raised: a batch in several transactions would not be atomic.
type etcd struct {
	contest.Servers
	addrs  []string
	leader int // of addrs
	client *clientv3.Client
}

const (
	// etcdQuotaBytes is the largest database that etcd's documentation advises.
	etcdQuotaBytes = 8 << 30
	// leaderTimeout is how long a cluster may take to find a leader.
	leaderTimeout = 30 * time.Second
)

// serveEtcd runs in the child.
func serveEtcd(dir string, p place) (string, error) {
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.LogLevel = "fatal" // it warns of every transaction that takes longer than 100 ms
	cfg.MaxTxnOps = contest.BatchEntries
	cfg.QuotaBackendBytes = etcdQuotaBytes
	if p.alone() {
		peers, err := contest.FreeAddr()
		if err != nil {
			return "", err
		}
		p.addrs = []string{peers}
	}
	clients, err := contest.FreeAddr()
	if err != nil {
		return "", err
	}
	cfg.ListenPeerUrls, cfg.ListenClientUrls = []url.URL{httpURL(p.addrs[p.seat])}, []url.URL{httpURL(clients)}
	cfg.AdvertisePeerUrls, cfg.AdvertiseClientUrls = cfg.ListenPeerUrls, cfg.ListenClientUrls
	cfg.Name = contest.ServerName(p.seat)
	var members []string
	for i, addr := range p.addrs {
		peers := httpURL(addr)
		members = append(members, contest.ServerName(i)+"="+peers.String())
	}
	cfg.InitialCluster = strings.Join(members, ",")
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return "", fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-server.Server.ReadyNotify():
		return clients, nil
	case err := <-server.Err():
		return "", fmt.Errorf("start etcd: %w", err)
	}
}

func httpURL(addr string) url.URL { return url.URL{Scheme: "http", Host: addr} }

// startEtcd returns what starts the servers that begin starts, and a client of them.
func startEtcd(begin beginning) contest.Start {
	return func(ctx context.Context, _ *contest.Arena, dir string) (contest.Contestant, error) {
		servers, addrs, err := begin(ctx, etcdChild, dir)
		if err != nil {
			return nil, err
		}
		e := &etcd{Servers: servers, addrs: addrs}
		if e.client, err = e.dial(0); err != nil {
			servers.Kill()
			return nil, err
		}
		if err := e.FindLeader(ctx); err != nil {
			return nil, errors.Join(err, e.Close())
		}
		return e, nil
	}
}

func (e *etcd) dial(i int) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{e.addrs[i]}, Context: e.Alive(), Logger: zap.NewNop()})
}

// FindLeader connects to the server that leads.
func (e *etcd) FindLeader(ctx context.Context) error {
	leader := -1
	if _, err := contest.Retry(ctx, leaderTimeout, func() error {
		for i, addr := range e.addrs {
			status, err := e.client.Status(ctx, addr)
			if err != nil {
				return err
			}
			if status.Leader == status.Header.MemberId {
				leader = i
				return nil
			}
		}
		return errors.New("no etcd server leads")
	}); err != nil || leader == e.leader {
		return err
	}
	client, err := e.dial(leader)
	if err != nil {
		return err
	}
	err = e.client.Close()
	e.client, e.leader = client, leader
	return err
}

// Write commits one transaction without conditions. A cluster may change its leader
// meanwhile: the transaction is sent again then, as its user would.
func (e *etcd) Write(entries []sheaf.Entry) (retries int, err error) {
	puts := make([]clientv3.Op, len(entries))
	for i := range entries {
		// The client only reads them; copying would be a cost of ours, not etcd's.
		puts[i] = clientv3.OpPut(view(entries[i].Key), view(entries[i].Value))
	}
	return sendAgain(e, len(e.addrs), func() error {
		_, err := e.client.Txn(e.Alive()).Then(puts...).Commit()
		return err
	})
}

// Get reads one key, linearizably; nil is one that is not there.
func (e *etcd) Get(ctx context.Context, key []byte) ([]byte, error) {
	answer, err := e.client.Get(ctx, view(key))
	if err != nil || len(answer.Kvs) == 0 {
		return nil, err
	}
	return answer.Kvs[0].Value, nil
}

// view is a string of the same bytes, which must not change while it is used.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Close kills the servers.
func (e *etcd) Close() error {
	err := e.client.Close()
	e.Kill()
	if errors.Is(err, context.Canceled) { // it reports the context that a Ctrl-C ended
		err = nil
	}
	return err
}
