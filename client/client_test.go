package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sheafdb/sheaf"
)

func TestNewSaysWhichArgumentIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		addr string
		opts []Option
		want string
	}{
		"no port":      {"localhost", nil, "host:port"},
		"empty port":   {"localhost:", nil, "host:port"},
		"a URL":        {"http://localhost:7450", nil, "host:port"},
		"both":         {"h:1", []Option{WithInsecure(), WithTLS(&tls.Config{})}, "contradict"},
		"nil TLS":      {"h:1", []Option{WithTLS(nil)}, "needs a configuration"},
		"old TLS":      {"h:1", []Option{WithTLS(&tls.Config{MaxVersion: tls.VersionTLS12})}, "excludes TLS 1.3"},
		"retry policy": {"h:1", []Option{WithRetry(RetryPolicy{MaxAttempts: -1})}, "retry policy"},
		"timeout":      {"h:1", []Option{WithTimeout(0)}, "positive"},
	} {
		c, err := New(test.addr, test.opts...)
		if err == nil {
			_ = c.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q does not say %q", name, err, test.want)
		}
	}
}

func TestOnlyThisMachineIsSpokenToInPlainText(t *testing.T) {
	for addr, plain := range map[string]bool{
		"localhost:1": true, "127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, ":1": true,
		"10.0.0.1:1": false, "node.example:1": false, "localhost.example:1": false, "0.0.0.0:1": false,
	} {
		o, err := gather(nil)
		if err != nil {
			t.Fatal(err)
		}
		creds, _, err := o.credentials(addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := creds.Info().SecurityProtocol == "insecure"; got != plain {
			t.Errorf("%s: plain text is %v, want %v", addr, got, plain)
		}
	}
}

func TestWrongTLSEndsAtOnceAndSaysWhatToDo(t *testing.T) {
	certificate, roots := selfSigned(t)
	secure := grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}}))
	old := grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MaxVersion: tls.VersionTLS12}))
	for name, test := range map[string]struct {
		server []grpc.ServerOption
		config *tls.Config
		want   string // "" is success
	}{
		"trusted":         {[]grpc.ServerOption{secure}, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}, ""},
		"not trusted":     {[]grpc.ServerOption{secure}, &tls.Config{RootCAs: x509.NewCertPool()}, "WithTLS"},
		"old TLS":         {[]grpc.ServerOption{old}, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}, "TLS 1.3"},
		"no TLS up there": {nil, &tls.Config{}, "WithInsecure"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The certificate's time is the real one, and the bubble's is not.
				test.config.Time = func() time.Time { return certificate.Leaf.NotBefore.Add(time.Minute) }
				node := &fakeNode{putall: []writeLine{applied(1)}, getall: []readLine{holding(`"e"`, nil)}}
				c := serve(t, node, test.server, WithTLS(test.config))
				start := time.Now()
				_, writeErr := c.PutAll(t.Context(), someEntries)
				_, readErr := c.GetAll(t.Context(), keysOf("a"))
				for _, err := range []error{writeErr, readErr} {
					if test.want == "" {
						if err != nil {
							t.Error(err)
						}
					} else if sheaf.CodeOf(err) != sheaf.NotProposed || !strings.Contains(err.Error(), test.want) {
						t.Errorf("got %v, want NOT_PROPOSED that says %q", err, test.want)
					}
				}
				if waited := time.Since(start); waited > time.Second {
					t.Errorf("retried for %v what only a change of configuration can mend", waited)
				}
			})
		})
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}
