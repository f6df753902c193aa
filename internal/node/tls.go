package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sheafdb/sheaf/internal/config"
)

// loadTLS returns the configuration of the client-facing ports, or nil for plain
// text. The files are read again when they change, without a restart; a change
// that cannot be read is logged and the old certificate stays.
func loadTLS(files config.TLS, logger *slog.Logger) (*tls.Config, error) {
	if files.Cert == "" {
		return nil, nil
	}
	r := &reloader{files: files, logger: logger}
	if err := r.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// net/http and grpc ask for h2 here; the per-connection configuration
		// below inherits it.
		NextProtos:         []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.current(), nil },
	}, nil
}

// reloader holds the newest configuration that could be read.
type reloader struct {
	files  config.TLS
	logger *slog.Logger

	mu      sync.Mutex
	config  *tls.Config
	stamp   [3]time.Time // modification times of what config was read from
	checked time.Time
}

// recheckEvery bounds how often the files are looked at.
const recheckEvery = time.Second

func (r *reloader) current() *tls.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.checked) >= recheckEvery {
		r.checked = time.Now()
		if r.stamps() != r.stamp {
			if err := r.load(); err != nil {
				r.logger.Error("the changed TLS files cannot be used: the old ones stay", "err", err)
			} else {
				r.logger.Info("TLS files were read again")
			}
		}
	}
	return r.config
}

func (r *reloader) stamps() (stamp [3]time.Time) {
	for i, name := range []string{r.files.Cert, r.files.Key, r.files.ClientCA} {
		if info, err := os.Stat(name); name != "" && err == nil {
			stamp[i] = info.ModTime()
		}
	}
	return stamp
}

func (r *reloader) load() error {
	stamp := r.stamps()
	cert, err := tls.LoadX509KeyPair(r.files.Cert, r.files.Key)
	if err != nil {
		return fmt.Errorf("load the TLS certificate %s and key %s: %w", r.files.Cert, r.files.Key, err)
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		NextProtos: []string{"h2", "http/1.1"},
	}
	if r.files.ClientCA != "" {
		pem, err := os.ReadFile(r.files.ClientCA)
		if err != nil {
			return fmt.Errorf("read the client CA: %w", err)
		}
		cfg.ClientCAs = x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
			return errors.New("the client CA " + r.files.ClientCA + " holds no PEM certificate")
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	r.config, r.stamp = cfg, stamp
	return nil
}
