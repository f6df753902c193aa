package crashtest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// TestAnImportThatStandsStillEndsWithTheNode: SIGTERM comes when what was sent is answered and more
// could come. The answer says why it ends, the node ends in good order, and what was answered is there.
func TestAnImportThatStandsStillEndsWithTheNode(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		dir := t.TempDir()
		p := serve(t, dir, store)
		body, more := io.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", "http://"+p.http+"/v1/import?batch=1", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Idempotency-Key", t.Name())
		go func() {
			_, _ = io.WriteString(more, `{"key":"a","value":"1"}`+"\n"+`{"key":"b","value":"2"}`+"\n") // a failure is that of the request
		}()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // it is read to its end
		defer more.Close()      //nolint:errcheck // before: a body that could go on would hold up the other
		answers := bufio.NewScanner(resp.Body)
		for range 2 {
			if !answers.Scan() || !strings.Contains(answers.Text(), `"version"`) {
				t.Fatalf("the answer is %q, %v", answers.Text(), answers.Err())
			}
		}
		if code := p.terminate(t); code != 0 {
			t.Errorf("exit code %d after SIGTERM:\n%s", code, p.stderr)
		}
		if !answers.Scan() || !strings.Contains(answers.Text(), string(sheaf.Draining)) {
			t.Errorf("the import ends with %q, %v", answers.Text(), answers.Err())
		}

		p = serve(t, dir, store)
		c, err := client.New(p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // nothing is on its way
		values, err := c.GetAll(ctx, [][]byte{[]byte("a"), []byte("b")})
		if err != nil || string(values.Items[0].Value) != "1" || string(values.Items[1].Value) != "2" {
			t.Errorf("what was answered is %v, %v", values.Items, err)
		}
	})
}
