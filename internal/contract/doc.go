// Package contract holds no code but a suite: what the API and its error table
// promise to callers, tried on real nodes with real sockets.
//
// A case is written once, in a neutral form: calls, and what each must answer. Two
// drivers carry it, one over gRPC with the generated stubs and one over plain
// HTTP, so a promise that one face keeps and the other breaks is seen. What
// belongs to one face alone (the exact JSON, headers, bytes that no client library
// would send) stands in files named for that face.
//
// The suite knows the API from outside: it imports the node to start it, and
// otherwise only the public nouns and the generated stubs. It does not use package
// client, which would mend on the way what it should report.
package contract
