package config

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesEachProblem(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"store", func(c *Config) { c.Store = "bolt" }, `store: is "bolt": use one of pebble, memory, syncmap`},
		{"data dir", func(c *Config) { c.DataDir = "" }, "data_dir: is empty"},
		{"no port", func(c *Config) { c.GRPCAddr = "localhost" }, "grpc_addr: is \"localhost\": write host:port"},
		{"bad port", func(c *Config) { c.GRPCAddr = "localhost:99999" }, "grpc_addr: has port \"99999\""},
		{"same port", func(c *Config) { c.HTTPAddr = c.GRPCAddr }, "http_addr: is the same address as grpc_addr"},
		{"open grpc", func(c *Config) { c.GRPCAddr = ":7450" }, "grpc_addr: :7450 can be reached from other machines without TLS: set tls.cert"},
		{"open admin", func(c *Config) { c.AdminAddr = "0.0.0.0:7452"; c.TLS = TLS{Cert: "c", Key: "k"} }, "admin_addr: 0.0.0.0:7452 can be reached"},
		{"half a TLS", func(c *Config) { c.TLS.Cert = "c" }, "tls.key: is missing"},
		{"client CA alone", func(c *Config) { c.TLS.ClientCA = "c" }, "tls.client_ca: asks"},
		{"limits", func(c *Config) { c.Limits.KeyBytes = 0 }, "limits: key bytes is 0"},
		{"log", func(c *Config) { c.Log.MaxBytes = 5 }, "log.max_bytes: is 5"},
		{"window", func(c *Config) { c.Eventual.Window = time.Hour }, "eventual.window: is 1h"},
		{"name", func(c *Config) { c.Node = "n 1" }, `node: is "n 1": use letters`},
		{"long name", func(c *Config) { c.Node = strings.Repeat("n", 64) }, "at most 63"},
		{"level", func(c *Config) { c.Logging.Level = "loud" }, "logging.level: is \"loud\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := Default()
			c.change(&config)
			if err := config.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestValidateTellsAllAtOnce(t *testing.T) {
	c := Default()
	c.Store, c.GRPCAddr, c.Logging.Format = "x", "y", "z"
	err := c.Validate()
	for _, key := range []string{"store:", "grpc_addr:", "logging.format:"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("got %v, want it to name %s", err, key)
		}
	}
}

func TestOpenAddressesNeedTLSOrInsecure(t *testing.T) {
	c := Default()
	c.GRPCAddr, c.HTTPAddr = "0.0.0.0:7450", "[::]:7451"
	c.TLS = TLS{Cert: "c", Key: "k"}
	if err := c.Validate(); err != nil {
		t.Errorf("with TLS: %v", err)
	}
	c.TLS, c.Insecure = TLS{}, true
	if err := c.Validate(); err != nil {
		t.Errorf("with insecure: %v", err)
	}
}
