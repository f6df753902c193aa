package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

func (a *app) watchCommand() *cobra.Command {
	var (
		o       client.WatchOptions
		prefix  string
		current bool
		limit   uint64
	)
	command := &cobra.Command{
		Use:   "watch",
		Short: "follow what is committed, batch by batch",
		Long: `Follow what is committed, from now on: every batch once, whole, until interrupted.
What ends it says the token that --token goes on from, on any node of the cluster.
With -o json, one line per batch with its token.

A watch that falls behind what the nodes keep (watch.history_bytes) ends with
COMPACTED. With --current it begins anew instead.`,
		Example: `  sheaf watch --prefix config/
  sheaf watch --oldest -o json --limit 10
  sheaf watch --prefix config/ --current`,
		GroupID: groupKeys,
		Args:    cobra.NoArgs,
	}
	flags := command.Flags()
	flags.StringVar(&prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar(&o.Token, "token", "", "go on behind what this token has seen")
	flags.BoolVar(&o.Oldest, "oldest", false, "begin with the oldest change that is kept")
	flags.BoolVar(&current, "current", false, "list the keys that are there first")
	flags.Uint64Var(&limit, "limit", 0, "end after this many batches; 0 is never")
	command.MarkFlagsMutuallyExclusive("token", "oldest", "current")
	return a.remote(command, 0, func(ctx context.Context, node peer, _ []string) error {
		w := watching{app: a, limit: limit}
		o.Prefix, o.Progress = []byte(prefix), func(token string) { w.token = token }
		var err error
		if current {
			err = w.sync(ctx, node, o.Prefix)
		} else {
			err = w.follow(ctx, node, o)
		}
		goOn := "" // from the last token
		if w.token != "" {
			goOn = fmt.Sprintf("go on from here with: %s --token %s", asGiven(command, "token", "oldest", "current", "limit"), w.token)
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return &exitError{code: exitInterrupted, err: errors.New("interrupted"), next: goOn}
		case sheaf.CodeOf(err) == sheaf.Compacted:
			return &exitError{code: exitCode(err), err: err, next: "list what is there now and follow on from that with --current, or begin with what is kept with --oldest"}
		case goOn != "":
			return &exitError{code: exitCode(err), err: err, next: goOn}
		}
		return err
	})
}

// watching prints what a watch brings.
type watching struct {
	*app
	token   string // of the last batch that was printed
	limit   uint64
	printed uint64
}

func (w *watching) follow(ctx context.Context, node peer, o client.WatchOptions) error {
	for event, err := range node.Watch(ctx, o) {
		if err != nil {
			return err
		}
		if enough, err := w.event(&event); err != nil || enough {
			return err
		}
	}
	return nil
}

func (w *watching) sync(ctx context.Context, node peer, prefix []byte) error {
	restarts := 0
	for u, err := range node.Sync(ctx, prefix) {
		enough := false
		switch {
		case err != nil:
			return err
		case u.Step == client.SyncRestart:
			if restarts++; restarts > 1 {
				fmt.Fprintln(w.stderr, "the watch fell behind, or broke: here is everything again")
			}
		case u.Step == client.SyncItems:
			for _, item := range u.Items {
				if err := w.item(item); err != nil {
					return err
				}
			}
		case u.Step == client.SyncEvent:
			enough, err = w.event(&u.Event)
		}
		if err != nil || enough {
			return err
		}
	}
	return nil
}

func (w *watching) item(item sheaf.Item) error {
	if w.output == jsonForm {
		return w.printJSON(lineOf(item))
	}
	return w.line(item.Version, &client.Change{Key: item.Key, Value: item.Value})
}

// event prints a batch and says whether it was the last.
func (w *watching) event(e *client.Event) (enough bool, err error) {
	if w.output == jsonForm {
		err = w.printJSON(eventLineOf(e))
	} else {
		for i := range e.Changes {
			if err == nil {
				err = w.line(e.Version, &e.Changes[i])
			}
		}
	}
	w.token = e.Token
	w.printed++
	return w.printed == w.limit, err
}

func (w *watching) line(version uint64, c *client.Change) (err error) {
	switch {
	case c.Expired:
		_, err = fmt.Fprintf(w.stdout, "%12s  expired  %s\n", "", readable(c.Key))
	case c.Delete:
		_, err = fmt.Fprintf(w.stdout, "%12d  delete   %s\n", version, readable(c.Key))
	default:
		_, err = fmt.Fprintf(w.stdout, "%12d  put      %s = %s\n", version, readable(c.Key), beginning(c.Value))
	}
	return err
}

// eventLine is one line of NDJSON, with the fields of an event of /v1/watch and its token.
type eventLine struct {
	Token   string       `json:"token"`
	Version uint64       `json:"version,string,omitempty"`
	Entries []changeLine `json:"entries"`
}

type changeLine struct {
	Key      *string `json:"key,omitempty"`
	KeyB64   *string `json:"key_b64,omitempty"`
	Value    *string `json:"value,omitempty"`
	ValueB64 *string `json:"value_b64,omitempty"`
	TypeURL  string  `json:"type_url,omitempty"`
	TTLMS    int64   `json:"ttl_ms,string,omitempty"`
	Delete   bool    `json:"delete,omitempty"`
	Expired  bool    `json:"expired,omitempty"`
}

func eventLineOf(e *client.Event) eventLine {
	line := eventLine{Token: e.Token, Version: e.Version}
	for i := range e.Changes {
		c := &e.Changes[i]
		out := changeLine{TypeURL: c.TypeURL, TTLMS: c.TTL.Milliseconds(), Delete: c.Delete, Expired: c.Expired}
		out.Key, out.KeyB64 = textOrB64(c.Key)
		if !c.Delete {
			out.Value, out.ValueB64 = textOrB64(c.Value)
		}
		line.Entries = append(line.Entries, out)
	}
	return line
}
