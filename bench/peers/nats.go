package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// nats is a NATS server, or a cluster of them, whose JetStream keeps the last message of
// each subject, as its key-value buckets do; in a cluster on all servers. A batch is one
// atomic batch of messages. It is a sequence on one connection, so each caller has a
// connection, to the server that leads the stream.
type nats struct {
	contest.Servers
	addrs  []string
	leader int // of addrs
	idle   chan *client.Conn
}

const (
	natsStream   = "contest"
	natsPrefix   = "k."
	natsMaxConns = 64 // more than callers
	natsTimeout  = 30 * time.Second
)

// startNATS returns what starts the servers of this child that begin starts, and
// creates the stream.
func startNATS(child string, begin beginning) contest.Start {
	return func(ctx context.Context, _ *contest.Arena, dir string) (contest.Contestant, error) {
		servers, addrs, err := begin(ctx, child, dir)
		if err != nil {
			return nil, err
		}
		n := &nats{Servers: servers, addrs: addrs, idle: make(chan *client.Conn, natsMaxConns)}
		// A cluster takes no streams before it has a leader.
		if _, err := contest.Retry(ctx, leaderTimeout, func() error { return n.createStream(ctx) }); err != nil {
			return nil, errors.Join(err, n.Close())
		}
		if err := n.FindLeader(ctx); err != nil {
			return nil, errors.Join(err, n.Close())
		}
		return n, nil
	}
}

func (n *nats) createStream(ctx context.Context) error {
	return n.ask(func(js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: natsStream, Subjects: []string{natsPrefix + "*"}, MaxMsgsPerSubject: 1, Replicas: len(n.addrs),
			Storage: jetstream.FileStorage, AllowAtomicPublish: true,
		})
		return err
	})
}

// ask gives a connection to JetStream to use.
func (n *nats) ask(use func(jetstream.JetStream) error) error {
	conn, err := n.take()
	if err != nil {
		return err
	}
	defer n.give(conn)
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return use(js)
}

// FindLeader has new connections go to the server that leads the stream.
func (n *nats) FindLeader(ctx context.Context) error {
	if len(n.addrs) == 1 {
		return nil
	}
	leader := -1
	if _, err := contest.Retry(ctx, leaderTimeout, func() error {
		return n.ask(func(js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, natsStream) // asks for its state
			if err != nil {
				return err
			}
			for i := range n.addrs {
				if info := stream.CachedInfo(); info.Cluster != nil && info.Cluster.Leader == contest.ServerName(i) {
					leader = i
					return nil
				}
			}
			return errors.New("no NATS server leads the stream")
		})
	}); err != nil {
		return err
	}
	if leader != n.leader {
		n.leader = leader
		n.hangUp()
	}
	return nil
}

func (n *nats) take() (*client.Conn, error) {
	select {
	case conn := <-n.idle:
		return conn, nil
	default:
		return client.Connect("nats://"+n.addrs[n.leader], client.NoReconnect())
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
// commits them. A cluster may change its leader meanwhile: the batch is sent again
// then, as its user would.
func (n *nats) Write(entries []sheaf.Entry) (retries int, err error) {
	return sendAgain(n, len(n.addrs), func() error { return n.publish(entries) })
}

func (n *nats) publish(entries []sheaf.Entry) error {
	conn, err := n.take()
	if err != nil {
		return err
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
			return err
		}
	}
	return batchAck(answer.Data, len(entries))
}

// Get reads one key from the server that leads; nil is one that is not there.
func (n *nats) Get(ctx context.Context, key []byte) (value []byte, err error) {
	err = n.ask(func(js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, natsStream)
		if err != nil {
			return err
		}
		message, err := stream.GetLastMsgForSubject(ctx, natsPrefix+view(key))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err == nil {
			value = message.Data
		}
		return err
	})
	return value, err
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

// hangUp closes the connections that nobody uses.
func (n *nats) hangUp() {
	for len(n.idle) > 0 {
		(<-n.idle).Close()
	}
}

// Close kills the servers.
func (n *nats) Close() error {
	n.hangUp()
	n.Kill()
	return nil
}
