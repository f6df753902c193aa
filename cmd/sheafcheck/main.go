// Command sheafcheck checks that a Sheaf server or cluster keeps its promises. See package
// internal/check.
package main

import (
	"os"

	"github.com/sheafdb/sheaf/internal/check/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
