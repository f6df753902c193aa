package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/rpc"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}

func testConfig(dir string) config.Config {
	cfg := config.Default()
	cfg.DataDir, cfg.Store = dir, "memory"
	cfg.Log.MaxBytes, cfg.Disk.BallastBytes = 64<<20, 1<<20
	cfg.GRPCAddr, cfg.HTTPAddr, cfg.AdminAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	return cfg
}

func start(t *testing.T, cfg config.Config) *Node {
	t.Helper()
	n, err := Start(context.Background(), cfg, Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func connect(t *testing.T, n *Node) *grpc.ClientConn {
	t.Helper()
	addr, _, _ := n.Addrs()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestClientKeepaliveSuitsTheServer: the two constants live on one floor and
// cannot see each other.
func TestClientKeepaliveSuitsTheServer(t *testing.T) {
	if client.KeepaliveTime <= rpc.KeepaliveMinTime || client.KeepaliveMinTime != rpc.KeepaliveMinTime {
		t.Errorf("the client pings every %v and takes the server's minimum for %v; it is %v",
			client.KeepaliveTime, client.KeepaliveMinTime, rpc.KeepaliveMinTime)
	}
}

func TestHealthAndReflection(t *testing.T) {
	n := start(t, testConfig(t.TempDir()))
	conn := connect(t, n)
	for _, service := range []string{"", "sheaf.v1.KVService"} {
		got, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, got, err)
		}
	}
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "sheaf.v1.KVService"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := stream.Recv(); err != nil || len(got.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("reflection: %v, %v", got, err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

func TestADrainedNodeIsNotReady(t *testing.T) {
	n := start(t, testConfig(t.TempDir()))
	_, _, admin := n.Addrs()
	get := func() (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, body := get(); code != 200 {
		t.Errorf("serving: %d %s", code, body)
	}
	n.setState(stateDraining)
	if code, body := get(); code != 503 || !strings.Contains(body, stateDraining) {
		t.Errorf("draining: %d %s", code, body)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestADataDirectoryIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	n, err := Start(context.Background(), testConfig(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, cfg config.Config, words ...string) {
		t.Helper()
		other, err := Start(context.Background(), cfg, Options{})
		if err == nil {
			other.Stop(context.Background())
			t.Fatalf("%s: it started", what)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", what, err, word)
			}
		}
	}
	expect("in use", testConfig(dir), dir, "process", "--data-dir")
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	wrong := testConfig(dir)
	wrong.Store = "pebble"
	expect("another store", wrong, "holds a memory store", "--store memory")
	identity := filepath.Join(dir, identityFile)
	saved, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(identity, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("damaged identity", testConfig(dir), identityFile, "backup")
	if err := os.WriteFile(identity, []byte(strings.Replace(string(saved), fmt.Sprintf(`"format": %d`, dataFormat), `"format": 99`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("newer format", testConfig(dir), "format 99")
	if err := os.WriteFile(identity, saved, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "log"), filepath.Join(dir, "log.away")); err != nil {
		t.Fatal(err)
	}
	expect("missing log", testConfig(dir), "log is missing", "backup")
}

func TestAPortInUseIsToldBeforeAnythingElse(t *testing.T) {
	n := start(t, testConfig(t.TempDir()))
	cfg := testConfig(t.TempDir())
	cfg.HTTPAddr = func() string { _, addr, _ := n.Addrs(); return addr }()
	_, err := Start(context.Background(), cfg, Options{})
	if err == nil || !strings.Contains(err.Error(), "--http-addr") {
		t.Errorf("got %v", err)
	}
}

func TestStopFinishesWhatWasAcceptedAtEventual(t *testing.T) {
	dir := t.TempDir()
	n, err := Start(context.Background(), testConfig(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	addr, _, _ := n.Addrs()
	c, err := client.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const keys = 200
	for i := range keys {
		result, err := c.Put(context.Background(), []byte{byte(i)}, []byte("x"), client.At(sheaf.Eventual))
		if err != nil || !result.Accepted {
			t.Fatal(result, err)
		}
	}
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(context.Background(), []byte("late"), nil, client.WithoutRetry()); err == nil {
		t.Error("a stopped node took a write")
	}
	n = start(t, testConfig(dir))
	addr, _, _ = n.Addrs()
	c2, err := client.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Close()
	for i := range keys {
		if _, err := c2.Get(context.Background(), []byte{byte(i)}); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
	}
}

func TestSizesFitTheDisk(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		total int64
		want  diskSizes
	}{
		{64 * mib, diskSizes{log: 16 * mib, logMost: 16 * mib, segment: 1 * mib, lowWater: 6 * mib, ballast: 64 * mib / 50, recycled: 4}},
		{1 << 40, diskSizes{log: 1024 * mib, logMost: 1 << 38, segment: 32 * mib, lowWater: 320 * mib, ballast: 64 * mib, recycled: 16}},
	} {
		if got := sizesFor(tc.total, 0, 0, 0); got != tc.want {
			t.Errorf("%d MiB: %+v, want %+v", tc.total/mib, got, tc.want)
		}
	}
	if got := sizesFor(1<<40, 100*mib, 7, 9); got.log != 100*mib || got.logMost != 100*mib || got.lowWater != 7 || got.ballast != 9 {
		t.Errorf("configured sizes were not taken: %+v", got)
	}
}

// TestAFailedNodeSaysWhy closes Done with the first reason.
func TestAFailedNodeSaysWhy(t *testing.T) {
	n, err := Start(context.Background(), testConfig(t.TempDir()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	first := errors.New("first")
	n.fail(first)
	n.fail(errors.New("second"))
	select {
	case <-n.Done():
	case <-time.After(patience):
		t.Fatal("Done is open")
	}
	if !errors.Is(n.Err(), first) {
		t.Errorf("got %v", n.Err())
	}
	if err := n.Stop(context.Background()); !errors.Is(err, first) {
		t.Errorf("Stop of a failed node: %v", err)
	}
}

func clientOf(t *testing.T, n *Node) *client.Client {
	t.Helper()
	addr, _, _ := n.Addrs()
	c, err := client.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
