package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

type purse struct {
	Owner   string `json:"owner"`
	Balance int    `json:"balance"`
}

func TestTypedMessagesAreStoredAsTheirType(t *testing.T) {
	ctx := t.Context()
	c := clientOf(t, start(t, testConfig(t.TempDir())))
	for name, kv := range map[string]client.KeyValues{"client": c, "session": c.Session()} {
		t.Run(name, func(t *testing.T) {
			durations := client.TypedProto[durationpb.Duration](kv, name+"/")
			if _, err := durations.PutAll(ctx, map[string]*durationpb.Duration{"a": {Seconds: 1}, "b": {Nanos: 2}, "empty": {}}); err != nil {
				t.Fatal(err)
			}
			got, err := durations.GetAll(ctx, []string{"b", "none", "a", "empty"})
			if err != nil || got.ETag == "" || got.Items[0].Version == 0 {
				t.Fatalf("got %+v, %v", got, err)
			}
			version := got.Items[0].Version
			want := []client.TypedItem[*durationpb.Duration]{
				{Key: "b", Value: &durationpb.Duration{Nanos: 2}, Version: version, Found: true},
				{Key: "none"},
				{Key: "a", Value: &durationpb.Duration{Seconds: 1}, Version: version, Found: true},
				{Key: "empty", Value: &durationpb.Duration{}, Version: version, Found: true},
			}
			if diff := cmp.Diff(want, got.Items, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			if item, err := kv.Get(ctx, []byte(name+"/a")); err != nil || item.TypeURL != "type.googleapis.com/google.protobuf.Duration" {
				t.Errorf("stored as %+v, %v", item, err)
			}

			for range 3 { // of a key that is not there at first
				if _, err := durations.Update(ctx, "count", func(d *durationpb.Duration, found bool) (*durationpb.Duration, error) {
					if found != (d.Seconds > 0) {
						t.Errorf("found %v, with %v", found, d)
					}
					d.Seconds++
					return d, nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			if d, err := durations.Get(ctx, "count"); err != nil || d.GetSeconds() != 3 {
				t.Errorf("got %v, %v after three updates", d, err)
			}
			if _, err := durations.DeleteAll(ctx, []string{"count", "a"}); err != nil {
				t.Error(err)
			}
			if _, err := durations.Get(ctx, "count"); sheaf.CodeOf(err) != sheaf.NotFound {
				t.Errorf("got %v of a key that was deleted", err)
			}
			var keys []string
			for item, err := range durations.Scan(ctx, client.ScanOptions{Start: []byte("c")}) {
				if err != nil || !item.Found {
					t.Fatal(err)
				}
				keys = append(keys, item.Key)
			}
			if diff := cmp.Diff([]string{"empty"}, keys); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTypedJSONIsStoredAsItIs(t *testing.T) {
	ctx := t.Context()
	c := clientOf(t, start(t, testConfig(t.TempDir())))
	accounts := client.TypedJSON[purse](c, "accounts/")
	if _, err := accounts.Put(ctx, "7", purse{"Ada", 10}); err != nil {
		t.Fatal(err)
	}
	if item, err := c.Get(ctx, []byte("accounts/7")); err != nil || string(item.Value) != `{"owner":"Ada","balance":10}` || item.TypeURL != "" {
		t.Errorf("stored as %+v, %v", item, err)
	}
	if _, err := accounts.Update(ctx, "7", func(a purse, found bool) (purse, error) {
		a.Balance += 5
		return a, nil
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := accounts.Get(ctx, "7"); err != nil || got != (purse{"Ada", 15}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAValueThatIsNotWhatItShouldBeIsAClearError(t *testing.T) {
	ctx := t.Context()
	c := clientOf(t, start(t, testConfig(t.TempDir())))
	durations := client.TypedProto[durationpb.Duration](c, "k/")
	accounts := client.TypedJSON[purse](c, "k/")
	text := client.TypedProto[wrapperspb.StringValue](c, "k/")
	if _, err := text.Put(ctx, "text", wrapperspb.String("hi")); err != nil {
		t.Fatal(err)
	}
	broken := sheaf.Put("k/broken", "\xff\xff")
	broken.TypeURL = "type.googleapis.com/google.protobuf.Duration"
	otherHost := sheaf.Put("k/host", "\x08\x05")
	otherHost.TypeURL = "types.example.org/google.protobuf.Duration"
	if _, err := c.PutAll(ctx, []sheaf.Entry{broken, otherHost, sheaf.Put("k/bare", "x")}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key  string
		get  func(key string) error
		want string
	}{
		{"text", func(key string) error { _, err := durations.Get(ctx, key); return err }, `key "k/text": the value is a "type.googleapis.com/google.protobuf.StringValue", where a google.protobuf.Duration is expected`},
		{"bare", func(key string) error { _, err := durations.Get(ctx, key); return err }, `key "k/bare": the value has no type, where a google.protobuf.Duration is expected`},
		{"broken", func(key string) error { _, err := durations.GetAll(ctx, []string{key}); return err }, `key "k/broken": the value is not a valid google.protobuf.Duration: `},
		{"text", func(key string) error { _, err := accounts.Get(ctx, key); return err }, `where a JSON node.purse is expected`},
		{"bare", func(key string) error { _, err := accounts.GetAll(ctx, []string{key}); return err }, `key "k/bare": the value is not a valid JSON node.purse: `},
		{"text", func(key string) error {
			_, err := durations.Update(ctx, key, func(d *durationpb.Duration, _ bool) (*durationpb.Duration, error) { return d, nil })
			return err
		}, `where a google.protobuf.Duration is expected`},
	} {
		err := test.get(test.key)
		var wrong *client.ValueError
		if !errors.As(err, &wrong) || string(wrong.Key) != "k/"+test.key || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	if d, err := durations.Get(ctx, "host"); err != nil || d.GetSeconds() != 5 {
		t.Errorf("got %v, %v: the host of a type's URL does not matter", d, err)
	}

	for name, put := range map[string]func() error{
		"nil message":  func() error { _, err := durations.Put(ctx, "nil", nil); return err },
		"nil in a map": func() error { _, err := durations.PutAll(ctx, map[string]*durationpb.Duration{"nil": nil}); return err },
		"no UTF-8":     func() error { _, err := text.Put(ctx, "nil", wrapperspb.String("\xff")); return err },
		"no JSON":      func() error { _, err := client.TypedJSON[func()](c, "k/").Put(ctx, "nil", nil); return err },
		"nil from change": func() error {
			_, err := durations.Update(ctx, "nil", func(*durationpb.Duration, bool) (*durationpb.Duration, error) { return nil, nil })
			return err
		},
	} {
		if err := put(); sheaf.CodeOf(err) != sheaf.InvalidBatch || !strings.Contains(err.Error(), `"k/nil"`) {
			t.Errorf("%s: got %v, want INVALID_BATCH that names the key", name, err)
		}
	}
	if _, err := c.Get(ctx, []byte("k/nil")); sheaf.CodeOf(err) != sheaf.NotFound {
		t.Errorf("something was written: %v", err)
	}
}
