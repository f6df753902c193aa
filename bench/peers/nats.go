package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// nats is one NATS server whose JetStream keeps the last message of each subject,
// as its key-value buckets do; a batch is one atomic batch of messages. A batch
// is a sequence on one connection, so each caller has a connection.
type nats struct {
	*contest.Process
	addr string
	idle chan *client.Conn
}

const (
	natsStream   = "contest"
	natsPrefix   = "k."
	natsMaxConns = 64 // more than callers
	natsTimeout  = 30 * time.Second
)

// serveNATS runs in the child. Without sync it is synced every two minutes.
func serveNATS(dir string, sync bool) (string, error) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: sync,
	})
	if err != nil {
		return "", fmt.Errorf("start NATS: %w", err)
	}
	go s.Start()
	if !s.ReadyForConnections(natsTimeout) {
		return "", errors.New("NATS is not ready for connections")
	}
	return s.Addr().String(), nil
}

func startNATS(child string) contest.Start {
	return func(ctx context.Context, _ *contest.Arena, dir string) (contest.Contestant, error) {
		process, addr, err := startChild(ctx, child, dir)
		if err != nil {
			return nil, err
		}
		n := &nats{Process: process, addr: addr, idle: make(chan *client.Conn, natsMaxConns)}
		if err := n.createStream(ctx); err != nil {
			return nil, errors.Join(err, n.Close())
		}
		return n, nil
	}
}

func (n *nats) createStream(ctx context.Context) error {
	conn, err := n.take()
	if err != nil {
		return err
	}
	defer n.give(conn)
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: natsStream, Subjects: []string{natsPrefix + "*"}, MaxMsgsPerSubject: 1,
		Storage: jetstream.FileStorage, AllowAtomicPublish: true,
	})
	return err
}

func (n *nats) take() (*client.Conn, error) {
	select {
	case conn := <-n.idle:
		return conn, nil
	default:
		return client.Connect("nats://"+n.addr, client.NoReconnect())
	}
}

func (n *nats) give(conn *client.Conn) {
	select {
	case n.idle <- conn:
	default:
		conn.Close()
	}
}

// Write publishes the messages, and waits for the answer to the last, which
// commits them.
func (n *nats) Write(entries []sheaf.Entry) (int, error) {
	conn, err := n.take()
	if err != nil {
		return 0, err
	}
	defer n.give(conn)
	ctx, cancel := context.WithTimeout(n.Alive(), natsTimeout)
	defer cancel()
	id := []string{uuid.NewString()}
	var answer *client.Msg
	for i := range entries {
		message := &client.Msg{Subject: natsPrefix + view(entries[i].Key), Data: entries[i].Value, Header: client.Header{
			"Nats-Batch-Id": id, "Nats-Batch-Sequence": {strconv.Itoa(i + 1)},
		}}
		if i < len(entries)-1 {
			err = conn.PublishMsg(message)
		} else {
			message.Header["Nats-Batch-Commit"] = []string{"1"}
			answer, err = conn.RequestMsgWithContext(ctx, message)
		}
		if err != nil {
			if n.Alive().Err() != nil {
				err = context.Cause(n.Alive())
			}
			return 0, err
		}
	}
	return 0, batchAck(answer.Data, len(entries))
}

// batchAck checks the answer to the last message of a batch.
func batchAck(answer []byte, messages int) error {
	var ack struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
		Count int `json:"count"`
	}
	switch err := json.Unmarshal(answer, &ack); {
	case err != nil:
		return fmt.Errorf("NATS answered %q: %w", answer, err)
	case ack.Error != nil:
		return fmt.Errorf("NATS refused the batch: %s", ack.Error.Description)
	case ack.Count != messages:
		return fmt.Errorf("NATS took %d of %d messages: %s", ack.Count, messages, answer)
	}
	return nil
}

// Close kills the server.
func (n *nats) Close() error {
	for len(n.idle) > 0 {
		(<-n.idle).Close()
	}
	n.Kill()
	return nil
}
