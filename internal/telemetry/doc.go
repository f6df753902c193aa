// Package telemetry is how the inside of a node and a client is seen: the
// stages of a batch, metrics, logs and traces. It observes and never decides;
// nothing in it may fail a request.
package telemetry
