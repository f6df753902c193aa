package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func (a *app) statusCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "status",
		Short:   "what a node says of itself",
		Long:    "What a node says of itself: its state, addresses, log and limits. It answers also\nwhile it recovers.",
		Example: "  sheaf status\n  sheaf status -o json",
		GroupID: groupLook,
		Args:    cobra.NoArgs,
	}
	return a.remote(command, callTimeout, func(ctx context.Context, node peer, _ []string) error {
		ctx, cancel := node.bound(ctx)
		defer cancel()
		status, err := node.Status(ctx)
		if err != nil {
			return err
		}
		if a.output == jsonForm {
			return a.printMessage(status)
		}
		w := columns(a.stdout)
		for _, row := range [][2]string{
			{"state", status.GetState()},
			{"version", status.GetVersion()},
			{"uptime", (time.Duration(status.GetUptimeMs()) * time.Millisecond).Round(time.Second).String()},
			{"grpc", status.GetGrpcAddr()},
			{"http", status.GetHttpAddr()},
			{"admin", status.GetAdminAddr()},
			{"data", status.GetDataDir()},
			{"store", status.GetStore()},
			{"newest version", fmt.Sprint(status.GetClock())},
			{"applied", fmt.Sprintf("log entry %d", status.GetAppliedIndex())},
			{"durable in store", fmt.Sprintf("log entry %d", status.GetDurableIndex())},
			{"log", humanBytes(status.GetLogBytes())},
			{"request IDs", humanCount(int64(status.GetRequestIds()))},
			{"in flight", fmt.Sprintf("%s of %s", humanBytes(status.GetBytesInFlight()), humanBytes(status.GetBytesInFlightLimit()))},
			{"disk free", humanBytes(status.GetDiskFreeBytes())},
		} {
			fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
		return w.Flush()
	})
}

// printMessage writes a message as a line of JSON, without the spaces that protojson puts in
// at random.
func (a *app) printMessage(message proto.Message) error {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(message)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	_, err = fmt.Fprintln(a.stdout, line.String())
	return err
}
