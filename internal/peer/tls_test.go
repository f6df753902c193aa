package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"
)

// authority signs certificates of nodes.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nodes' CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	a.cert, a.key = a.sign(template, template, nil)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// node is the configuration of both ends for a node of that name; without a name it has no
// certificate.
func (a *authority) node(name string) *tls.Config {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	config := &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, RootCAs: pool}
	if name != "" {
		cert, key := a.sign(&x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "localhost"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}, a.cert, a.key)
		config.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
	}
	return config
}

func TestNodesKnowEachOtherByTheirCertificates(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	old := ours.node("n1")
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for _, test := range []struct {
		name           string
		client, server *tls.Config
		// code of the refusal, or none: then the handshake fails.
		admitted bool
		code     string
	}{
		{"both have their names", ours.node("n1"), ours.node("n2"), true, ""},
		{"the caller has another's name", ours.node("n3"), ours.node("n2"), false, codeCertificate},
		{"the node has another's name", ours.node("n1"), ours.node("n3"), false, ""},
		{"the caller has no certificate", ours.node(""), ours.node("n2"), false, ""},
		{"the caller is of other nodes", others.node("n1"), ours.node("n2"), false, ""},
		{"the caller's TLS is old", old, ours.node("n2"), false, ""},
		{"the caller speaks plain text", nil, ours.node("n2"), false, ""},
		{"the node speaks plain text", ours.node("n1"), nil, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			arrived := make(chan []byte, 1)
			h := &fakeHandler{
				call: echoCall, frame: func(_ uint64, frame []byte) { arrived <- frame },
				meet: func(from Identity, _ []byte) ([]byte, error) { return []byte(from.Name), nil },
			}
			if !test.admitted {
				h = &fakeHandler{admit: func(from Identity, _ uint64) error {
					t.Errorf("%+v got as far as to be admitted", from)
					return errors.New("no")
				}}
			}
			p := newPair(t, h, test.client, test.server)
			answer, err := p.client.Call(p.ctx(), 2, make([]byte, 1<<20), []byte("x"))
			met, meetErr := p.client.Meet(p.ctx(), 2, []byte("hello"))
			var refused *RefusedError
			switch {
			case test.admitted:
				if err != nil || len(answer) != 1<<20+1 {
					t.Errorf("a call: %d bytes, %v", len(answer), err)
				}
				if meetErr != nil || string(met) != "n1" {
					t.Errorf("a meeting: %q, %v", met, meetErr)
				}
				p.client.Send(2, Bulk, [][]byte{make([]byte, 5000), []byte("x")})
				if frame := get(t, "a frame", arrived); len(frame) != 5001 {
					t.Errorf("%d bytes arrived", len(frame))
				}
			case test.code != "":
				if !errors.As(err, &refused) || refused.Code != test.code {
					t.Errorf("a call: %v", err)
				}
				if !errors.As(meetErr, &refused) || refused.Code != test.code {
					t.Errorf("a meeting: %v", meetErr)
				}
			default:
				if !isNotSent(err) || !isNotSent(meetErr) {
					t.Errorf("a call: %v; a meeting: %v", err, meetErr)
				}
			}
		})
	}
}
