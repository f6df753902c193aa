package peer

import (
	"encoding/json"
	"fmt"
)

// Identity says who a node is.
type Identity struct {
	// Cluster is empty while the cluster is being formed.
	Cluster string
	// ID is the node's number, Name its name. Neither is given to another node.
	ID   uint64
	Name string
	// Disk is drawn when a data directory is made: a node whose disk was wiped is another.
	Disk string
}

// String reads "n1 (1)".
func (id Identity) String() string { return fmt.Sprintf("%s (%d)", id.Name, id.ID) }

// protocol is what both ends must speak. TLS names it too (ALPN), so that another server on
// this address is found out by the handshake.
const protocol = "sheaf-peer/1"

// purpose is what a connection is for.
type purpose string

const (
	forUrgent purpose = "urgent"
	forBulk   purpose = "bulk"
	forCalls  purpose = "call"
	forState  purpose = "state"
	forMeet   purpose = "meet"
)

// greeting is the first frame of every connection.
type greeting struct {
	Protocol string  `json:"protocol"`
	Cluster  string  `json:"cluster"`
	ID       uint64  `json:"id"`
	Name     string  `json:"name"`
	Disk     string  `json:"disk"`
	To       uint64  `json:"to"`
	Purpose  purpose `json:"purpose"`
}

func greetingOf(self Identity, to uint64, what purpose) greeting {
	return greeting{Protocol: protocol, Cluster: self.Cluster, ID: self.ID, Name: self.Name, Disk: self.Disk, To: to, Purpose: what}
}

func (g *greeting) identity() Identity {
	return Identity{Cluster: g.Cluster, ID: g.ID, Name: g.Name, Disk: g.Disk}
}

// The codes of a refusal.
const (
	// codeGreeting: what came is no greeting of this protocol.
	codeGreeting = "greeting"
	// codeCertificate: the caller's certificate does not have the name that he gives.
	codeCertificate = "certificate"
	// codeAdmission: the node does not want to hear this caller.
	codeAdmission = "admission"
	// CodeRemoved: the caller was a member of the cluster, and will not be again. A Handler's
	// Admit returns it in a RefusedError of its own.
	CodeRemoved = "removed"
	// CodeForming: the node has yet to meet the others. A Handler's Admit returns it likewise.
	CodeForming = "forming"
)

// maxDetailBytes bounds what a refusal says.
const maxDetailBytes = 4 << 10

// RefusedError says that the other node did not let this one in: nothing that was to be sent
// has reached it.
type RefusedError struct {
	// Code is greeting, certificate, admission, removed or forming.
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Error says why, in the other node's words.
func (e *RefusedError) Error() string { return "refused: " + e.Detail }

func refuse(code, format string, args ...any) *RefusedError {
	detail := fmt.Sprintf(format, args...)
	return &RefusedError{code, detail[:min(len(detail), maxDetailBytes)]}
}

// parseGreeting reads the first frame of a connection.
func parseGreeting(data []byte) (greeting, *RefusedError) {
	var g greeting
	if err := json.Unmarshal(data, &g); err != nil {
		return g, refuse(codeGreeting, "the caller does not say which node it is: this address is for the nodes of a cluster")
	}
	if g.Protocol != protocol {
		return g, refuse(codeGreeting, "the caller speaks %.40q, and this node %q: run the same version on both", g.Protocol, protocol)
	}
	if g.Disk == "" || g.ID == 0 && g.Purpose != forMeet { // who wants to join has no number yet
		return g, refuse(codeGreeting, "the caller does not say which node it is")
	}
	switch g.Purpose {
	case forUrgent, forBulk, forCalls, forState, forMeet:
		return g, nil
	}
	return g, refuse(codeGreeting, "this node does not know what a connection is for that is to be %.40q: run the same version on both", g.Purpose)
}

// parseVerdict reads the answer to a greeting: an empty frame admits.
func parseVerdict(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	var e RefusedError
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("answer to the greeting: %w", err)
	}
	return &e
}

// NotSentError says that nothing of what was to be sent can have been acted upon: the other
// node was not reached, or did not get it whole.
type NotSentError struct{ Err error }

// Error says so, and why.
func (e *NotSentError) Error() string { return "not sent: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *NotSentError) Unwrap() error { return e.Err }
