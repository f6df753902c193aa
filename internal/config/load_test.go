package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func write(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sheaf.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func parsedFlags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	RegisterFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestLoadWithoutSourcesIsDefault(t *testing.T) {
	got, origins, err := Load(parsedFlags(t), []string{"HOME=/root", "SHEAF_ADDR=x:1", "SHEAF_CONFIG=y"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("(-default +loaded):\n%s", diff)
	}
	if origin := origins.Of("store"); origin != "default" {
		t.Errorf("store comes from %q, want default", origin)
	}
}

func TestLoadPrefersFlagThenEnvironmentThenFile(t *testing.T) {
	path := write(t, `
store: memory
http_addr: 127.0.0.1:1
limits:
  batch_bytes: 8MiB
  request_ids: 5_000
tls:
  # cert: nothing below is set
`)
	flags := parsedFlags(t, "--store=syncmap", "--insecure")
	env := []string{"SHEAF_STORE=pebble", "SHEAF_HTTP_ADDR=127.0.0.1:2", "SHEAF_LIMITS_REQUEST_ID_RETENTION=1h"}
	got, origins, err := Load(flags, env, path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Store, want.Insecure, want.HTTPAddr = "syncmap", true, "127.0.0.1:2"
	want.Limits.BatchBytes, want.Limits.RequestIDs = 8<<20, 5000
	want.Limits.RequestIDRetention = time.Hour
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantOrigins := Origins{
		"store": "flag --store", "insecure": "flag --insecure",
		"http_addr":                   "environment SHEAF_HTTP_ADDR",
		"limits.request_id_retention": "environment SHEAF_LIMITS_REQUEST_ID_RETENTION",
		"limits.batch_bytes":          "file " + path, "limits.request_ids": "file " + path,
	}
	if diff := cmp.Diff(wantOrigins, origins); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		env        []string
		want       []string
	}{
		{"an unknown key", "stroe: memory", nil, []string{"unknown key stroe: did you mean store?"}},
		{"an unknown nested key", "limits: {batch_byte: 1}", nil, []string{"did you mean limits.batch_bytes?"}},
		{"a flat name of a nested key", "tls_cert: x", nil, []string{"did you mean tls.cert?"}},
		{"a value for a section", "limits: 5", nil, []string{"unknown key limits: it is a section"}},
		{"a list", "store: [memory]", nil, []string{"store: takes one string, not a list"}},
		{"an empty value", "store:", nil, []string{"store: has no value"}},
		{"a size without a number", "limits: {batch_bytes: lots}", nil, []string{`limits.batch_bytes: "lots" is not a size`}},
		{"a duration without a unit", "drain_timeout: 15", nil, []string{`"15" has no unit: write 15s or 15ms`}},
		{"an unknown variable", "", []string{"SHEAF_DATADIR=x"}, []string{"unknown environment variable SHEAF_DATADIR: did you mean SHEAF_DATA_DIR?"}},
		{"all at once", "stroe: x\nlimits: {key_bytes: y}", []string{"SHEAF_INSECURE=maybe"}, []string{"stroe", "limits.key_bytes", "SHEAF_INSECURE"}},
		{"broken YAML", "store: [", nil, []string{"sheaf.yaml", "yaml"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load(nil, c.env, write(t, c.yaml))
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant an error with %q", err, want)
				}
			}
		})
	}
	if _, _, err := Load(nil, nil, "/nowhere/sheaf.yaml"); err == nil || !strings.Contains(err.Error(), "/nowhere/sheaf.yaml") {
		t.Errorf("a missing file: got %v, want an error with its path", err)
	}
}

func TestFlagsRefuseValuesTheyCannotRead(t *testing.T) {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	RegisterFlags(flags)
	err := flags.Parse([]string{"--limits-batch-bytes=many"})
	if err == nil || !strings.Contains(err.Error(), "is not a size") {
		t.Errorf("got %v, want an error that says what a size is", err)
	}
}
