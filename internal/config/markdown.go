package config

import (
	"fmt"
	"strings"
)

const intro = `# Configuration

A value is taken from a flag of ` + "`sheaf serve`" + `, else from the environment, else from the
file that ` + "`--config`" + ` (or ` + "`SHEAF_CONFIG`" + `) names, else from the default. A key that no
setting has is refused, with the nearest one named. ` + "`sheaf config show`" + ` prints each
effective value and where it came from; ` + "`sheaf config check FILE`" + ` checks a file without
starting a node.

Sizes are bytes: ` + "`4096`, `64MiB` (1024s) or `64MB` (1000s)" + `. Durations have units: ` + "`20ms`, `10m`" + `.

An address that other machines can reach needs ` + "`tls.cert` and `tls.key`, or `insecure`" + `;
the admin port never speaks TLS, so it needs ` + "`insecure`" + ` there.

The file is YAML:

` + "```yaml" + `
store: pebble
data_dir: /var/lib/sheaf
tls:
  cert: /etc/sheaf/server.pem
  key: /etc/sheaf/server.key
limits:
  batch_bytes: 16MiB
` + "```" + `

<!-- Generated from internal/config/settings.go: go test ./internal/config -update -->
`

// Markdown is docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(intro)
	section := "none yet"
	for _, s := range Settings {
		name, _, nested := strings.Cut(s.Key, ".")
		if !nested {
			name = ""
		}
		if name != section {
			section = name
			title := "The node"
			if nested {
				title = "`" + name + "`"
			}
			fmt.Fprintf(&b, "\n## %s\n\n| key | flag | environment | default | meaning |\n|---|---|---|---|---|\n", title)
		}
		def := "`" + s.Default + "`"
		if s.Default == "" {
			def = "none"
		}
		fmt.Fprintf(&b, "| `%s` | `--%s` | `%s` | %s | %s |\n", s.Key, s.Flag, s.Env, def, s.Help)
	}
	return b.String()
}
