package client_test

import (
	"context"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// A client whose calls are traced, by a provider that has somewhere to send them.
func ExampleWithTracerProvider() {
	provider := sdktrace.NewTracerProvider()
	c, err := client.New("localhost:7450", client.WithTracerProvider(provider))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	if _, err := c.PutAll(context.Background(), []sheaf.Entry{sheaf.Put("a", "1")}); err != nil {
		log.Fatal(err)
	}
}
