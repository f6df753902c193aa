package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// level is the value of --consistency.
type level struct{ sheaf.Consistency }

// Type is for pflag.
func (l *level) Type() string { return "level" }

// Set is for pflag.
func (l *level) Set(text string) (err error) {
	l.Consistency, err = sheaf.ParseConsistency(text)
	return err
}

func addLevel(command *cobra.Command, l *level) {
	command.Flags().Var(l, "consistency", "linearizable, sequential or eventual")
	must(command.RegisterFlagCompletionFunc("consistency", cobra.FixedCompletions(
		[]string{"linearizable", "sequential", "eventual"}, cobra.ShellCompDirectiveNoFileComp)))
}

// readFlags are those of every read of named keys.
type readFlags struct {
	level level
	after uint64
}

func (f *readFlags) register(command *cobra.Command) {
	addLevel(command, &f.level)
	command.Flags().Uint64Var(&f.after, "after", 0, "with --consistency sequential: answer only from state at least as new as this version")
	command.PreRunE = func(*cobra.Command, []string) error { return f.check() }
}

// check refuses what a node would take and ignore: who gives a version expects it to count.
func (f *readFlags) check() error {
	if f.after == 0 || f.level.Consistency == sheaf.Sequential {
		return nil
	}
	why := "a linearizable read is of the newest state anyway"
	if f.level.Consistency == sheaf.Eventual {
		why = "an eventual read is of whatever the node has"
	}
	return &exitError{
		code: exitUsage, err: fmt.Errorf("--after has a meaning only with --consistency sequential: %s", why),
		next: "add --consistency sequential, or leave --after out",
	}
}

func (f *readFlags) options() []client.ReadOption {
	options := []client.ReadOption{client.At(f.level.Consistency)}
	if f.after > 0 {
		options = append(options, client.After(f.after))
	}
	return options
}

// writeFlags are those of every write that is one batch.
type writeFlags struct {
	level       level
	requestID   string
	ifMatch     string
	ifNoneMatch string
	after       uint64
	ttl         time.Duration
	set         *pflag.FlagSet
}

func (f *writeFlags) register(command *cobra.Command) {
	f.set = command.Flags()
	command.PreRunE = func(*cobra.Command, []string) error { return f.check() }
	addLevel(command, &f.level)
	f.set.StringVar(&f.requestID, "request-id", "", "name of this batch: a retry with the same one is applied once (default: a fresh one)")
	f.set.StringVar(&f.ifMatch, "if-match", "", `write only if this is the keys' ETag; "*": if all of them exist`)
	f.set.StringVar(&f.ifNoneMatch, "if-none-match", "", `write only if this is not the keys' ETag; "*": if none of them exists`)
	f.set.Uint64Var(&f.after, "after", 0, "make the batch's version larger than this one")
}

// check names the flag of a request ID that no node takes.
func (f *writeFlags) check() error {
	if !f.set.Changed("request-id") {
		return nil
	}
	if err := sheaf.RequestID(f.requestID).Validate(); err != nil {
		return &exitError{
			code: exitUsage, err: fmt.Errorf("--request-id: %w", err),
			next: "leave --request-id out for a fresh one, or give 1 to 128 printable ASCII characters",
		}
	}
	return nil
}

func (f *writeFlags) registerTTL() {
	f.set.DurationVar(&f.ttl, "ttl", 0, "how long the keys live, such as 90s or 24h; 0 is for ever")
}

// options passes on what was given, also when it is empty: the client then says
// that an empty condition is no condition.
func (f *writeFlags) options() []client.WriteOption {
	options := []client.WriteOption{client.At(f.level.Consistency)}
	if f.set.Changed("request-id") {
		options = append(options, client.WithRequestID(sheaf.RequestID(f.requestID)))
	}
	if f.set.Changed("if-match") {
		options = append(options, client.IfMatch(sheaf.ETag(f.ifMatch)))
	}
	if f.set.Changed("if-none-match") {
		options = append(options, client.IfNoneMatch(sheaf.ETag(f.ifNoneMatch)))
	}
	if f.after > 0 {
		options = append(options, client.After(f.after))
	}
	if f.set.Changed("ttl") {
		options = append(options, client.WithTTL(f.ttl))
	}
	return options
}

// resultLine is the answer to a write, with the names of the JSON API.
type resultLine struct {
	Version   string          `json:"version,omitempty"`
	ETag      sheaf.ETag      `json:"etag,omitempty"`
	Replayed  bool            `json:"replayed"`
	Accepted  bool            `json:"accepted,omitempty"`
	RequestID sheaf.RequestID `json:"request_id"`
	Parts     []partLine      `json:"parts,omitempty"`
}

// partLine is what became of one part of a batch at SEQUENTIAL.
type partLine struct {
	Group   string     `json:"group"`
	Applied bool       `json:"applied"`
	Version string     `json:"version,omitempty"`
	Reason  sheaf.Code `json:"reason,omitempty"`
}

// printResult says what a write did.
func (a *app) printResult(r client.Result) error {
	if a.output == jsonForm {
		line := resultLine{ETag: r.ETag, Replayed: r.Replayed, Accepted: r.Accepted, RequestID: r.RequestID}
		if !r.Accepted {
			line.Version = strconv.FormatUint(r.Version, 10)
		}
		for _, p := range r.Parts {
			part := partLine{Group: strconv.FormatUint(p.Group, 10), Applied: p.Applied, Reason: p.Reason}
			if p.Applied {
				part.Version = strconv.FormatUint(p.Version, 10)
			}
			line.Parts = append(line.Parts, part)
		}
		return a.printJSON(line)
	}
	line := fmt.Sprintf("version %d  etag %s", r.Version, r.ETag)
	if r.Accepted {
		line = "accepted, not yet durable"
	}
	if r.Replayed {
		line += "  (applied before: this repeats the first answer)"
	}
	for _, p := range r.Parts {
		if !p.Applied {
			line += fmt.Sprintf("\nnot applied in group %d: %s", p.Group, p.Reason)
		}
	}
	_, err := fmt.Fprintln(a.stdout, line)
	return err
}
