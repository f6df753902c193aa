package telemetry

import (
	"strings"

	"github.com/sheafdb/sheaf"
)

// other stands for every value of a label that has no name of its own.
const other = "other"

var faces = map[string]bool{"grpc": true, "http": true}

var methods = map[string]bool{
	"putall": true, "getall": true, "deleteall": true, "putbundle": true, "scan": true, "watch": true, "import": true, "putstream": true,
	"put": true, "get": true, "delete": true, "index": true, "admin": true,
}

func faceLabel(face string) string {
	if faces[face] {
		return face
	}
	return other
}

// methodLabel takes "PutAll" for "putall", so that gRPC's names fit.
func methodLabel(method string) string {
	if method = strings.ToLower(method); methods[method] {
		return method
	}
	return other
}

func consistencyLabel(level string) string {
	parsed, err := sheaf.ParseConsistency(level)
	if err != nil {
		return other
	}
	return parsed.String()
}

// reasonLabel is the code of an error, and "ok" when there was none.
func reasonLabel(reason string) string {
	if reason == "" {
		return "ok"
	}
	if _, known := sheaf.Code(reason).Row(); !known {
		return other
	}
	return reason
}
