package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/sheafdb/sheaf/client"
)

// reachTime bounds the first look whether anybody is there.
const reachTime = 5 * time.Second

// connection is how nodes are reached; its flags are those of sheaf.
type connection struct {
	insecure               bool
	tlsCA, tlsCert, tlsKey string
}

func (c *connection) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&c.insecure, "insecure", false, "speak plain text to an address that is not loopback")
	flags.StringVar(&c.tlsCA, "tls-ca", "", "PEM file of the authority to trust; the default is the system's")
	flags.StringVar(&c.tlsCert, "tls-cert", "", "PEM file of this client's certificate")
	flags.StringVar(&c.tlsKey, "tls-key", "", "PEM file of its private key")
}

func (c *connection) options() (options []client.Option, err error) {
	if c.insecure {
		options = append(options, client.WithInsecure())
	}
	if c.tlsCA == "" && c.tlsCert == "" && c.tlsKey == "" {
		return options, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if c.tlsCA != "" {
		pem, err := os.ReadFile(c.tlsCA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca: %s holds no PEM certificate", c.tlsCA)
		}
	}
	if c.tlsCert != "" || c.tlsKey != "" {
		pair, err := tls.LoadX509KeyPair(c.tlsCert, c.tlsKey)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return append(options, client.WithTLS(config)), nil
}

// reach looks whether any of the endpoints is a node.
func reach(ctx context.Context, endpoints []string, options []client.Option) error {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	answers := make(chan error, len(endpoints))
	for _, endpoint := range endpoints {
		go func() {
			c, err := client.New(endpoint, options...)
			if err == nil {
				_, err = c.Status(ctx)
				_ = c.Close() // it was only a question
			}
			answers <- err
		}()
	}
	var errs []error
	for range endpoints {
		err := <-answers
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("no endpoint answers: %w", errors.Join(errs...))
}
