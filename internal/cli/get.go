package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
)

func (a *app) getCommand() *cobra.Command {
	var read readFlags
	command := &cobra.Command{
		Use:   "get KEY",
		Short: "read one key",
		Long: `Read one key and write its value to standard output, byte for byte; only on a
terminal a line end follows. With -o json, an envelope with the version. A key
that is not there ends with exit code 5.`,
		Example: `  sheaf get hello
  sheaf get logo > logo.png
  sheaf get hello -o json`,
		GroupID: groupKeys,
		Args:    exactArgs(1),
	}
	read.register(command)
	return a.remote(command, callTimeout, func(ctx context.Context, node peer, args []string) error {
		ctx, cancel := node.bound(ctx)
		defer cancel()
		item, err := node.Get(ctx, []byte(args[0]), read.options()...)
		if errors.Is(err, sheaf.NotFound) && a.output == jsonForm {
			item.Key = []byte(args[0])
			return errors.Join(err, a.printJSON(envelopeOf(item)))
		}
		if err != nil {
			return err
		}
		if a.output == jsonForm {
			return a.printJSON(envelopeOf(item))
		}
		if _, err := a.stdout.Write(item.Value); err != nil {
			return fmt.Errorf("write the value: %w", err)
		}
		if terminal(a.stdout) {
			_, err = fmt.Fprintln(a.stdout)
		}
		return err
	})
}
