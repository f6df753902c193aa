package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sheafdb/sheaf/internal/router"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Stores are the names that the setting store takes.
var Stores = []string{"pebble", "memory", "syncmap"}

// maxEventualWindow bounds what an operator may let a crash lose.
const maxEventualWindow = 10 * time.Second

// Validate names every setting that makes no sense, and what to do about it.
func (c Config) Validate() error {
	var v validation
	v.check(c.DataDir != "", "data_dir", "is empty: name a directory")
	v.oneOf("store", c.Store, Stores...)
	v.oneOf("logging.level", c.Logging.Level, "debug", "info", "warn", "error")
	v.oneOf("logging.format", c.Logging.Format, "auto", "text", "json")
	c.validateTLS(&v)
	v.check(c.Groups >= 0 && c.Groups <= router.MaxGroups, "groups", "is %d: give it 1 to %d, or 0 for as many as there are", c.Groups, router.MaxGroups)
	c.validateCluster(&v)
	c.validateAddrs(&v)
	if err := c.Limits.SheafLimits().Validate(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			v.add("limits", "%s", line)
		}
	}
	v.check(c.Log.MaxBytes == 0 || c.Log.MaxBytes >= 1<<20, "log.max_bytes",
		"is %s: give it at least 1MiB, or 0 to fit it to the disk", FormatSize(c.Log.MaxBytes))
	v.check(c.Pebble.CacheBytes >= 1<<20, "pebble.cache_bytes", "is %s: give it at least 1MiB", FormatSize(c.Pebble.CacheBytes))
	v.check(c.Eventual.QueueBytes >= 1 && c.Eventual.QueueBytes <= maxEventualQueueBytes, "eventual.queue_bytes",
		"is %d: give it 1 to %d", c.Eventual.QueueBytes, maxEventualQueueBytes)
	v.check(c.Watch.HistoryBytes >= minHistoryBytes, "watch.history_bytes",
		"is %d: it must be at least %d", c.Watch.HistoryBytes, int64(minHistoryBytes))
	v.check(c.Eventual.Window > 0 && c.Eventual.Window <= maxEventualWindow, "eventual.window",
		"is %s: it must be above 0 and at most %s", FormatDuration(c.Eventual.Window), maxEventualWindow)
	v.check(c.Disk.LowWaterBytes >= 0, "disk.low_water_bytes", "is negative: use 0 to fit it to the disk")
	v.check(c.Disk.BallastBytes >= 0, "disk.ballast_bytes", "is negative: use 0 to fit it to the disk")
	v.check(c.DrainTimeout > 0, "drain_timeout", "is %s: give requests some time, such as 15s", FormatDuration(c.DrainTimeout))
	return errors.Join(v.problems...)
}

func (c Config) validateTLS(v *validation) {
	v.check(c.TLS.Cert == "" || c.TLS.Key != "", "tls.key", "is missing beside tls.cert: name the file of the private key")
	v.check(c.TLS.Key == "" || c.TLS.Cert != "", "tls.cert", "is missing beside tls.key: name the file of the certificate")
	v.check(c.TLS.ClientCA == "" || c.TLS.Cert != "", "tls.client_ca",
		"asks clients for certificates, but the server has none: set tls.cert and tls.key too")
}

func (c Config) validateCluster(v *validation) {
	all := c.PeerTLS.Cert != "" && c.PeerTLS.Key != "" && c.PeerTLS.CA != ""
	none := c.PeerTLS == PeerTLS{}
	v.check(all || none, "peer_tls", "is incomplete: peer_tls.cert, peer_tls.key and peer_tls.ca belong together")
	v.check(c.Node == "" || wire.ValidName(c.Node), "node", "is %q: use %s", c.Node, wire.NameRule)
	v.check(c.Join == "" || c.Cluster == "", "join", "and cluster exclude each other: cluster is for the first members of a new one")
	v.check(c.Join == "" || c.Node != "" && c.PeerAddr != "", "join", "needs node, the name of this one, and peer_addr, where the others reach it")
	if c.Join != "" {
		_, addr, named := strings.Cut(c.Join, "=")
		if !named {
			addr = c.Join
		}
		_, _, err := net.SplitHostPort(addr)
		v.check(err == nil, "join", "is %q: write host:port or name=host:port", c.Join)
	}
	v.check(c.Cluster == "" || c.Node != "", "node", "is missing beside cluster: say which of its members this node is")
	if c.Cluster == "" || c.Node == "" {
		return
	}
	found := false
	for part := range strings.SplitSeq(c.Cluster, ",") {
		name, addr, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, _, err := net.SplitHostPort(addr); !ok || name == "" || err != nil {
			v.add("cluster", "has %q: write name=host:port", part)
			continue
		}
		if name == c.Node {
			found = true
			v.check(c.PeerAddr != "" || none && (c.Insecure || loopback(addr)) || all, "peer_tls",
				"is not set, and %s can be reached from other machines: set peer_tls.cert, peer_tls.key and peer_tls.ca, or allow plain text with insecure", addr)
		}
	}
	v.check(found, "cluster", "does not name this node, %s", c.Node)
}

func (c Config) validateAddrs(v *validation) {
	seen := make(map[string]string)
	for _, a := range c.addrs() {
		_, port, err := net.SplitHostPort(a.addr)
		if err != nil {
			v.add(a.key, "is %q: write host:port, such as 127.0.0.1:7450", a.addr)
			continue
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			v.add(a.key, "has port %q: use a number from 0 (any free port) to 65535", port)
			continue
		}
		if other, taken := seen[a.addr]; taken && n != 0 {
			v.add(a.key, "is the same address as %s: give each its own port", other)
		}
		seen[a.addr] = a.key
		if a.tls || c.Insecure || loopback(a.addr) {
			continue
		}
		remedy := "set tls.cert and tls.key, or allow plain text with insecure"
		switch a.key {
		case "peer_addr":
			remedy = "set peer_tls.cert, peer_tls.key and peer_tls.ca, or allow plain text with insecure"
		case "admin_addr":
			remedy = "the admin port has no TLS, so use a loopback address, or allow plain text with insecure"
		}
		v.add(a.key, "%s can be reached from other machines without TLS: %s", a.addr, remedy)
	}
}

type listenAddr struct {
	key, addr string
	tls       bool
}

// minHistoryBytes has room for what a watch needs to follow at all.
const minHistoryBytes = 64 << 10

// maxEventualQueueBytes: the queue is written in one append of the log, which
// takes 1 GiB.
const maxEventualQueueBytes = 512 << 20

func (c Config) addrs() []listenAddr {
	tls := c.TLS.Cert != ""
	addrs := []listenAddr{{"grpc_addr", c.GRPCAddr, tls}, {"http_addr", c.HTTPAddr, tls}, {"admin_addr", c.AdminAddr, false}}
	if c.PeerAddr != "" {
		addrs = append(addrs, listenAddr{"peer_addr", c.PeerAddr, c.PeerTLS.Cert != ""})
	}
	return addrs
}

// PlainOnTheNetwork reports whether an address that is not loopback speaks plain
// text.
func (c Config) PlainOnTheNetwork() bool {
	return slices.ContainsFunc(c.addrs(), func(a listenAddr) bool { return !a.tls && !loopback(a.addr) })
}

// loopback resolves no names: only localhost is trusted to be what it says.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// validation collects problems, each of one key.
type validation struct{ problems []error }

func (v *validation) add(key, format string, args ...any) {
	v.problems = append(v.problems, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
}

func (v *validation) check(ok bool, key, format string, args ...any) {
	if !ok {
		v.add(key, format, args...)
	}
}

func (v *validation) oneOf(key, value string, allowed ...string) {
	v.check(slices.Contains(allowed, value), key, "is %q: use one of %s", value, strings.Join(allowed, ", "))
}
