package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log"
	"os"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// Three nodes of one cluster, whose certificates are of a private authority.
func ExampleNew_cluster() {
	authority, err := os.ReadFile("ca.pem")
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)

	c, err := client.New("node-1:7450,node-2:7450,node-3:7450",
		client.WithTLS(&tls.Config{RootCAs: roots}))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
}

// A client that gives up a silent endpoint after ten seconds, and adds at most a twentieth to the
// load of a cluster in trouble.
func ExampleWithRetry() {
	policy := client.RetryPolicy{
		AttemptTimeout: 10 * time.Second,
		Budget:         client.RetryBudget{Ratio: 0.05, Burst: 200},
	}
	c, err := client.New("node-1:7450,node-2:7450", client.WithRetry(policy))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	if _, err := c.PutAll(context.Background(), []sheaf.Entry{sheaf.Put("a", "1")}); err != nil {
		log.Fatal(err)
	}
}
