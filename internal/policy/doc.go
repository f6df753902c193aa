// Package policy holds the rules of the house as tests: which room may import
// which, that every package and every exported name says what it is, and that
// the generated documents are up to date. It has no code of its own.
package policy
