package config

import (
	"reflect"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Setting describes one setting, everywhere it can be seen.
type Setting struct {
	// Key is its name in the file: "limits.batch_bytes".
	Key string
	// Flag is its name on the command line of `sheaf serve`, without dashes.
	Flag string
	// Env is its environment variable.
	Env string
	// Default is its default, as one would write it.
	Default string
	// Help is one sentence, lower case, without a full stop.
	Help string

	kind kind
}

// Settings is every setting, in the order in which people look for them.
var Settings = describe([]help{
	{"data_dir", "directory that holds the log and the store; one node per directory"},
	{"store", "where the keys live: pebble (larger than memory), memory or syncmap (a baseline to measure against)"},
	{"grpc_addr", "host:port of the gRPC face"},
	{"http_addr", "host:port of the HTTP and JSON face"},
	{"admin_addr", "host:port of metrics, health and profiles; it never speaks TLS"},
	{"node", "name of this node in its cluster"},
	{"cluster", "first members of a new cluster, as name=host:port,…; the same on each of them, and not needed again"},
	{"join", "peer address of any node of a cluster that this new node is to join, or name=host:port where peers use TLS"},
	{"groups", "replica groups that a new cluster or node divides its keys into, at most 16; 0 is 1, or as many as there are"},
	{"peer_addr", "host:port where the other nodes reach this one; the default is what the cluster setting says"},
	{"peer_tls.cert", "PEM file of the node's certificate for other nodes, with its name as a DNS name"},
	{"peer_tls.key", "PEM file of that certificate's private key"},
	{"peer_tls.ca", "PEM file of the authority that must have signed the certificates of all nodes"},
	{"tls.cert", "PEM file of the server's certificate chain, read again when it changes"},
	{"tls.key", "PEM file of the certificate's private key"},
	{"tls.client_ca", "PEM file of the authority that must have signed every client's certificate"},
	{"insecure", "allow plain text on addresses that other machines can reach"},
	{"require_request_id", "refuse gRPC writes without a request ID, as HTTP always does"},
	{"require_etag", "refuse writes without if_match or if_none_match"},
	{"drain_timeout", "how long a shutdown waits for requests at work"},
	{"limits.batch_entries", "most entries of a batch, and keys of a read"},
	{"limits.batch_bytes", "largest encoded batch, and largest answer to a read"},
	{"limits.key_bytes", "longest key"},
	{"limits.value_bytes", "largest value"},
	{"limits.in_flight_bytes", "most bytes of batches held in memory at once, of all callers"},
	{"limits.streams_per_connection", "most concurrent calls of one connection"},
	{"limits.request_id_retention", "how long the answer to a request ID is remembered"},
	{"limits.request_ids", "most young request IDs that a group remembers before it refuses the oldest"},
	{"log.max_bytes", "most bytes of log on disk; 0 is a quarter of the disk, at most 1GiB or, with a memory store, twice its data"},
	{"pebble.cache_bytes", "block cache of the pebble store"},
	{"eventual.queue_bytes", "most bytes of accepted EVENTUAL batches that are not yet durable"},
	{"eventual.window", "most time of accepted EVENTUAL batches that a crash may lose"},
	{"watch.history_bytes", "bytes of the newest changes of each group that are kept in memory for watches, from the first watch on"},
	{"disk.low_water_bytes", "free space below which writes get NO_SPACE; 0 fits it to the disk"},
	{"disk.ballast_bytes", "file that an operator may delete to make room on a full disk; 0 fits it to the disk"},
	{"logging.level", "least important log line that is written: debug, info, warn or error"},
	{"logging.format", "form of log lines: text, json, or auto (text on a terminal, else json)"},
})

type help struct{ key, text string }

func describe(rows []help) []Setting {
	defaults := flatten(Default())
	settings := make([]Setting, len(rows))
	for i, row := range rows {
		value := defaults[row.key]
		s := Setting{Key: row.key, Help: row.text, kind: kindOf(row.key, value)}
		s.Flag = strings.NewReplacer(".", "-", "_", "-").Replace(row.key)
		s.Env = envPrefix + strings.ToUpper(strings.ReplaceAll(row.key, ".", "_"))
		s.Default = s.kind.format(value)
		settings[i] = s
	}
	return settings
}

// flatten maps each key of c to its value, by the koanf tags.
func flatten(c Config) map[string]any {
	values := make(map[string]any)
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			key := prefix + v.Type().Field(i).Tag.Get("koanf")
			if v.Field(i).Kind() == reflect.Struct {
				walk(key+".", v.Field(i))
			} else {
				values[key] = v.Field(i).Interface()
			}
		}
	}
	walk("", reflect.ValueOf(c))
	return values
}

// Values returns each setting's effective value, as one would write it, by key.
func (c Config) Values() map[string]string {
	values := flatten(c)
	texts := make(map[string]string, len(Settings))
	for _, s := range Settings {
		texts[s.Key] = s.kind.format(values[s.Key])
	}
	return texts
}

// RegisterFlags adds one flag per setting to fs. [Load] reads those that were given.
func RegisterFlags(fs *pflag.FlagSet) {
	for _, s := range Settings {
		flag := fs.VarPF(&flagValue{kind: s.kind, text: s.Default}, s.Flag, "", s.Help)
		if s.kind == yesNo {
			flag.NoOptDefVal = "true"
		}
	}
}

// flagValue keeps the text of a flag that parses; Load parses it again, as it
// does the texts of the environment and the file.
type flagValue struct {
	kind kind
	text string
}

func (f *flagValue) String() string { return f.text }
func (f *flagValue) Type() string   { return f.kind.String() }

func (f *flagValue) Set(text string) error {
	_, err := f.kind.parse(text)
	f.text = text
	return err
}

// kindOf tells a size from a number by its key: units stand last in names.
func kindOf(key string, value any) kind {
	switch value.(type) {
	case bool:
		return yesNo
	case time.Duration:
		return duration
	case int, int64:
		if strings.HasSuffix(key, "_bytes") {
			return size
		}
		return number
	}
	return text
}
