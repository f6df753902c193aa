package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"unsafe"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// etcd is one etcd server and a client of it; a batch is one transaction. By
// default a transaction holds 128 puts, so its limit is raised: a batch in
// several transactions would not be atomic.
type etcd struct {
	*contest.Process
	client *clientv3.Client
}

// etcdQuotaBytes is the largest database that etcd's documentation advises.
const etcdQuotaBytes = 8 << 30

// serveEtcd runs in the child.
func serveEtcd(dir string) (string, error) {
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.LogLevel = "fatal" // it warns of every transaction that takes longer than 100 ms
	cfg.MaxTxnOps = contest.BatchEntries
	cfg.QuotaBackendBytes = etcdQuotaBytes
	var addr string
	for _, urls := range []struct{ listen, advertise *[]url.URL }{
		{&cfg.ListenPeerUrls, &cfg.AdvertisePeerUrls},
		{&cfg.ListenClientUrls, &cfg.AdvertiseClientUrls},
	} {
		port, err := contest.FreePort()
		if err != nil {
			return "", err
		}
		addr = fmt.Sprintf("127.0.0.1:%d", port)
		*urls.listen = []url.URL{{Scheme: "http", Host: addr}}
		*urls.advertise = *urls.listen
	}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return "", fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-server.Server.ReadyNotify():
		return addr, nil
	case err := <-server.Err():
		return "", fmt.Errorf("start etcd: %w", err)
	}
}

func startEtcd(ctx context.Context, _ *contest.Arena, dir string) (contest.Contestant, error) {
	process, addr, err := startChild(ctx, etcdChild, dir)
	if err != nil {
		return nil, err
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, Context: process.Alive(), Logger: zap.NewNop()})
	if err != nil {
		process.Kill()
		return nil, err
	}
	return &etcd{process, client}, nil
}

// Write commits one transaction without conditions.
func (e *etcd) Write(entries []sheaf.Entry) (int, error) {
	puts := make([]clientv3.Op, len(entries))
	for i := range entries {
		// The client only reads them; copying would be a cost of ours, not etcd's.
		puts[i] = clientv3.OpPut(view(entries[i].Key), view(entries[i].Value))
	}
	_, err := e.client.Txn(e.Alive()).Then(puts...).Commit()
	if e.Alive().Err() != nil {
		err = context.Cause(e.Alive())
	}
	return 0, err
}

// view is a string of the same bytes, which must not change while it is used.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Close kills the server.
func (e *etcd) Close() error {
	err := e.client.Close()
	e.Kill()
	if errors.Is(err, context.Canceled) { // it reports the context that a Ctrl-C ended
		err = nil
	}
	return err
}
