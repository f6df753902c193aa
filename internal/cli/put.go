package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
)

const callTimeout = 30 * time.Second

func (a *app) putCommand() *cobra.Command {
	var write writeFlags
	command := &cobra.Command{
		Use:   "put KEY VALUE|-|@FILE",
		Short: "write one key",
		Long: `Write one key. VALUE is taken as it is; "-" reads standard input, and @FILE a
file. (For a value that begins with @, or is "-", pipe it in.)

Sent again with the same --request-id, the write is applied once.`,
		Example: `  sheaf put hello world
  sheaf put logo @logo.png
  date | sheaf put started -
  sheaf put lock me --if-none-match '*' --ttl 30s`,
		GroupID: groupKeys,
		Args:    exactArgs(2),
	}
	write.register(command)
	write.registerTTL()
	return a.remote(command, callTimeout, func(ctx context.Context, node peer, args []string) error {
		value, err := a.readValue(args[1])
		if err != nil {
			return err
		}
		ctx, cancel := node.bound(ctx)
		defer cancel()
		result, err := node.Put(ctx, []byte(args[0]), value, write.options()...)
		if err != nil {
			return err
		}
		return a.printResult(result)
	})
}

// readValue takes a value from the command line, standard input or a file. It
// reads no more than a value may have, and one byte to tell that there is more.
func (a *app) readValue(arg string) ([]byte, error) {
	path, isFile := strings.CutPrefix(arg, "@")
	if arg != "-" && !isFile {
		return []byte(arg), nil
	}
	from := a.stdin
	if isFile {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	most := sheaf.DefaultLimits().ValueBytes
	value, err := io.ReadAll(io.LimitReader(from, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("read the value: %w", err)
	}
	if len(value) > most {
		return nil, &sheaf.Error{
			Code: sheaf.BatchTooLarge, Op: "put",
			Detail: fmt.Sprintf("the value is larger than %s", humanBytes(int64(most))),
		}
	}
	return value, nil
}

func (a *app) deleteCommand() *cobra.Command {
	var write writeFlags
	command := &cobra.Command{
		Use:   "delete KEY...",
		Short: "remove keys, all or nothing",
		Long:  "Remove keys as one batch: all or nothing. Removing a key that is not there succeeds.",
		Example: `  sheaf delete hello
  sheaf delete a b c --if-match "$ETAG"`,
		GroupID: groupKeys,
		Args:    someArgs(),
	}
	write.register(command)
	return a.remote(command, callTimeout, func(ctx context.Context, node peer, args []string) error {
		keys := make([][]byte, len(args))
		for i, arg := range args {
			keys[i] = []byte(arg)
		}
		ctx, cancel := node.bound(ctx)
		defer cancel()
		result, err := node.DeleteAll(ctx, keys, write.options()...)
		if err != nil {
			return err
		}
		return a.printResult(result)
	})
}
