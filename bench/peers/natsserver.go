package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sheafdb/sheaf/bench/contest"
)

// serveNATS runs in the child. Without sync it is synced every two minutes.
func serveNATS(dir string, p place, sync bool) (string, error) {
	options := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: sync,
	}
	if !p.alone() {
		options.ServerName = contest.ServerName(p.seat)
		host, port, err := net.SplitHostPort(p.addrs[p.seat])
		if err != nil {
			return "", err
		}
		options.Cluster.Name, options.Cluster.Host = natsStream, host
		if options.Cluster.Port, err = strconv.Atoi(port); err != nil {
			return "", err
		}
		for _, addr := range p.addrs {
			options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: addr})
		}
	}
	s, err := server.NewServer(options)
	if err != nil {
		return "", fmt.Errorf("start NATS: %w", err)
	}
	go s.Start()
	if !s.ReadyForConnections(natsTimeout) {
		return "", errors.New("NATS is not ready for connections")
	}
	return s.Addr().String(), nil
}
