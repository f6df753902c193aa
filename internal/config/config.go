// Package config is the configuration of a node: its settings with their
// defaults, where each value came from, and what makes no sense.
//
// A value is taken from a flag, else from the environment, else from the file,
// else from the default. A key that no setting has is refused, so that a typing
// error never silently means the default. [Settings] is the one table from which
// the flags, `sheaf config show` and docs/configuration.md are made. The package
// reads the configuration file and nothing else; it starts nothing.
package config

import (
	"time"

	"github.com/sheafdb/sheaf"
)

// Config is every setting of a node. The koanf tags are the keys of the file;
// a flag has dashes for dots and underscores, an environment variable is in
// capitals after SHEAF_, with underscores for dots.
type Config struct {
	DataDir   string `koanf:"data_dir"`
	Store     string `koanf:"store"`
	GRPCAddr  string `koanf:"grpc_addr"`
	HTTPAddr  string `koanf:"http_addr"`
	AdminAddr string `koanf:"admin_addr"`

	// Node is this node's name in its cluster, Cluster the first members of a new one as
	// name=host:port with commas between; empty for a node alone. A node that has been
	// started before knows both.
	Node    string `koanf:"node"`
	Cluster string `koanf:"cluster"`
	// Join names a node of the cluster that this one, which is new, is to become a member of.
	Join string `koanf:"join"`
	// Groups is into how many replica groups a new cluster divides its keys; 0 is one, or as
	// many as the data directory was made with.
	Groups int `koanf:"groups"`
	// PeerAddr is where the other nodes reach this one; empty is what Cluster says.
	PeerAddr string `koanf:"peer_addr"`
	// PeerTLS names the files of the port for other nodes.
	PeerTLS PeerTLS `koanf:"peer_tls"`

	TLS TLS `koanf:"tls"`
	// Insecure allows plain text on addresses other than loopback.
	Insecure bool `koanf:"insecure"`

	// RequireRequestID refuses gRPC writes without a request ID, as HTTP always does.
	RequireRequestID bool `koanf:"require_request_id"`
	// RequireETag refuses writes without an ETag condition.
	RequireETag bool `koanf:"require_etag"`

	Limits   Limits   `koanf:"limits"`
	Log      Log      `koanf:"log"`
	Pebble   Pebble   `koanf:"pebble"`
	Eventual Eventual `koanf:"eventual"`
	Watch    Watch    `koanf:"watch"`
	Disk     Disk     `koanf:"disk"`
	Logging  Logging  `koanf:"logging"`

	// DrainTimeout bounds how long a shutdown waits for requests at work.
	DrainTimeout time.Duration `koanf:"drain_timeout"`
}

// TLS names the files of the client-facing ports. They are read again when they change.
type TLS struct {
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
	// ClientCA, when set, makes clients show a certificate that it signed.
	ClientCA string `koanf:"client_ca"`
}

// PeerTLS names the files of the nodes' own port. A node's certificate is for both ends, must
// be signed by CA, and has the node's name among its DNS names.
type PeerTLS struct {
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
	CA   string `koanf:"ca"`
}

// Limits are those of sheaf.Limits, by their names in the file.
type Limits struct {
	BatchEntries         int           `koanf:"batch_entries"`
	BatchBytes           int           `koanf:"batch_bytes"`
	KeyBytes             int           `koanf:"key_bytes"`
	ValueBytes           int           `koanf:"value_bytes"`
	InFlightBytes        int64         `koanf:"in_flight_bytes"`
	StreamsPerConnection int           `koanf:"streams_per_connection"`
	RequestIDRetention   time.Duration `koanf:"request_id_retention"`
	RequestIDs           int           `koanf:"request_ids"`
}

// Log bounds the log of batches.
type Log struct {
	// MaxBytes bounds the log; 0 fits it to the disk: a quarter of it, at most 1 GiB or,
	// with a store that is flushed as a whole, twice that store's data.
	MaxBytes int64 `koanf:"max_bytes"`
}

// Pebble tunes the pebble store.
type Pebble struct {
	CacheBytes int64 `koanf:"cache_bytes"`
}

// Eventual bounds what EVENTUAL may lose.
type Eventual struct {
	QueueBytes int           `koanf:"queue_bytes"`
	Window     time.Duration `koanf:"window"`
}

// Watch bounds what is kept for those who watch.
type Watch struct {
	// HistoryBytes is how much of the newest changes stays in memory, for each group.
	HistoryBytes int64 `koanf:"history_bytes"`
}

// Disk says when the disk counts as full. 0 fits the value to the disk.
type Disk struct {
	LowWaterBytes int64 `koanf:"low_water_bytes"`
	BallastBytes  int64 `koanf:"ballast_bytes"`
}

// Logging shapes what the node says on standard error.
type Logging struct {
	Level  string `koanf:"level"`
	Format string `koanf:"format"`
}

// Default returns the settings of a node that was told nothing.
func Default() Config {
	limits := sheaf.DefaultLimits()
	return Config{
		DataDir: "./sheaf-data", Store: "pebble",
		GRPCAddr: "127.0.0.1:7450", HTTPAddr: "127.0.0.1:7451", AdminAddr: "127.0.0.1:7452",
		Limits: Limits{
			BatchEntries: limits.BatchEntries, BatchBytes: limits.BatchBytes,
			KeyBytes: limits.KeyBytes, ValueBytes: limits.ValueBytes,
			InFlightBytes: limits.InFlightBytes, StreamsPerConnection: limits.StreamsPerConnection,
			RequestIDRetention: limits.RequestIDRetention, RequestIDs: limits.RequestIDs,
		},
		Pebble:       Pebble{CacheBytes: 256 << 20},
		Eventual:     Eventual{QueueBytes: 64 << 20, Window: 20 * time.Millisecond},
		Watch:        Watch{HistoryBytes: 256 << 20},
		Logging:      Logging{Level: "info", Format: "auto"},
		DrainTimeout: 15 * time.Second,
	}
}

// SheafLimits converts the limits to the type the rest of the program uses.
func (l Limits) SheafLimits() sheaf.Limits { return sheaf.Limits(l) }
