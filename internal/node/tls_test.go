package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/client"
)

// authority signs certificates for the tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", true)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// sign writes name.crt and name.key.
func (a *authority) sign(name string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if ca {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".crt", "CERTIFICATE", der)
	a.write(name+".key", "EC PRIVATE KEY", keyDER)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) trust() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
}

func TestTLSServesBothFacesAndReadsItsFilesAgain(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("node", false)
	cfg := testConfig(t.TempDir())
	cfg.TLS.Cert, cfg.TLS.Key = ca.path("node.crt"), ca.path("node.key")
	n := start(t, cfg)
	grpcAddr, httpAddr, _ := n.Addrs()

	c, err := client.New(grpcAddr, client.WithTLS(ca.trust()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Put(context.Background(), []byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: ca.trust(), DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + httpAddr + "/v1/keys/k")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	// Damaged files must not take the node down, a good pair must take over.
	if err := os.WriteFile(ca.path("node.crt"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial() != before {
		t.Error("a damaged file replaced the certificate")
	}
	ca.sign("node", false)
	deadline := time.Now().Add(patience)
	for serial() == before {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not used")
		}
	}
}

func TestTLSRefusesOldVersionsAndUnknownClients(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("node", false)
	ca.sign("friend", false)
	cfg := testConfig(t.TempDir())
	cfg.TLS.Cert, cfg.TLS.Key, cfg.TLS.ClientCA = ca.path("node.crt"), ca.path("node.key"), ca.path("ca.crt")
	n := start(t, cfg)
	_, httpAddr, _ := n.Addrs()
	get := func(change func(*tls.Config)) error {
		conf := ca.trust()
		change(conf)
		transport := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + httpAddr + "/v1/keys/k")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	friend, err := tls.LoadX509KeyPair(ca.path("friend.crt"), ca.path("friend.key"))
	if err != nil {
		t.Fatal(err)
	}
	stranger := newAuthority(t)
	stranger.sign("stranger", false)
	strange, err := tls.LoadX509KeyPair(stranger.path("stranger.crt"), stranger.path("stranger.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := get(func(c *tls.Config) { c.Certificates = []tls.Certificate{friend} }); err != nil {
		t.Errorf("a client with a certificate: %v", err)
	}
	if err := get(func(*tls.Config) {}); err == nil {
		t.Error("a client without a certificate was let in")
	}
	if err := get(func(c *tls.Config) { c.Certificates = []tls.Certificate{strange} }); err == nil {
		t.Error("a client of another authority was let in")
	}
	if err := get(func(c *tls.Config) {
		c.Certificates, c.MinVersion, c.MaxVersion = []tls.Certificate{friend}, tls.VersionTLS12, tls.VersionTLS12
	}); err == nil {
		t.Error("TLS 1.2 was let in")
	}
}
