// Command configwatch is an instance of a service whose settings are keys of Sheaf: it prints them,
// and every change of them in the moment it is made, in every instance.
//
// The work is in settings.go, which is what to take from here.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

const usage = `Follow settings, until it is interrupted. With arguments: change them, all at once.

Example:
  configwatch --addr localhost:7450 --prefix config/ &
  configwatch --addr localhost:7450 --prefix config/ colour=green limit=20

Flags:
`

func main() {
	addr := flag.String("addr", "localhost:7450", "`host:port` of a node, or of several of one cluster with commas between")
	timeout := flag.Duration("timeout", client.DefaultTimeout, "how long the first reading of the settings, or a change, may take")
	prefix := flag.String("prefix", "config/", "what the settings' keys begin with")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := client.New(*addr, client.WithTimeout(*timeout))
	if err == nil {
		defer c.Close() //nolint:errcheck // no call is under way
		if flag.NArg() > 0 {
			err = change(ctx, c, *prefix, flag.Args())
		} else {
			err = follow(ctx, c, *prefix, *timeout, os.Stdout)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "configwatch:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be undone
	}
}

// change writes settings in one batch: no instance sees some of them without the others.
func change(ctx context.Context, c *client.Client, prefix string, args []string) error {
	var batch []sheaf.Entry
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q is not NAME=VALUE", arg)
		}
		batch = append(batch, sheaf.Put(prefix+name, value))
	}
	_, err := c.PutAll(ctx, batch)
	return err
}

// follow prints the settings, each set of them in one line, until ctx ends.
func follow(ctx context.Context, c *client.Client, prefix string, timeout time.Duration, out io.Writer) error {
	settings := NewSettings(c, prefix, timeout)
	return settings.Follow(ctx, func(current map[string]string) {
		var line []string
		for _, name := range slices.Sorted(maps.Keys(current)) {
			line = append(line, name+"="+current[name])
		}
		_, _ = fmt.Fprintln(out, "settings:", strings.Join(line, " ")) // who does not read it does not need it
	})
}
