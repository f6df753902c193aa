// Command sheaf is Sheaf's one program: `sheaf serve` runs a node, the other
// commands talk to one. See package internal/cli.
package main

import (
	"os"

	"github.com/sheafdb/sheaf/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
