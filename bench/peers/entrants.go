package main

import (
	"os/exec"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// class is what an answer promises; only rows of one class are compared.
type class string

const (
	synced    class = "synced"     // on disk before the answer
	notSynced class = "not synced" // on its way to the disk; a crash of the machine loses the last of it
	inMemory  class = "in memory"  // never on disk
	// threeSynced: on disk at a majority of three servers before the answer; what Redis
	// does instead is said with it.
	threeSynced class = "three synced"
)

// entrant is a contestant, and how it is started.
type entrant struct {
	name  string
	class class
	// program must be installed; "" needs nothing.
	program string
	start   contest.Start
}

// The Sheaf rows that the others of a class are compared with. Sheaf has no mode
// that never writes to disk, so those that have are compared with what it does
// when it need not wait for the disk.
var rivals = map[class][2]string{
	synced:    {"sheaf-memory", "sheaf-pebble"},
	notSynced: {"sheaf-memory-eventual", "sheaf-pebble-eventual"},
	inMemory:  {"sheaf-memory-eventual", "sheaf-pebble-eventual"},

	threeSynced: {"sheaf-memory-3", "sheaf-pebble-3"},
}

// entrants are in the order of the table and of their turns.
var entrants = []entrant{
	{name: "sheaf-memory", class: synced, start: contest.Sheaf("memory", sheaf.Linearizable)},
	{name: "sheaf-pebble", class: synced, start: contest.Sheaf("pebble", sheaf.Linearizable)},
	{name: "pebble-synced", class: synced, start: contest.Pebble(true)},
	{name: "badger-synced", class: synced, start: startBadger(true)},
	{name: "redis-always", class: synced, program: redisProgram, start: startRedis("--appendonly", "yes", "--appendfsync", "always")},
	{name: "etcd", class: synced, start: startEtcd(startChild)},
	{name: "nats-synced", class: synced, start: startNATS(natsSyncedChild, startChild)},
	{name: "sheaf-memory-eventual", class: notSynced, start: contest.Sheaf("memory", sheaf.Eventual)},
	{name: "sheaf-pebble-eventual", class: notSynced, start: contest.Sheaf("pebble", sheaf.Eventual)},
	{name: "pebble-nolog", class: notSynced, start: contest.Pebble(false)},
	{name: "badger", class: notSynced, start: startBadger(false)},
	{name: "redis-everysec", class: notSynced, program: redisProgram, start: startRedis("--appendonly", "yes", "--appendfsync", "everysec")},
	{name: "nats", class: notSynced, start: startNATS(natsChild, startChild)},
	{name: "redis-none", class: inMemory, program: redisProgram, start: startRedis("--appendonly", "no")},
	{name: "memcached", class: inMemory, program: memcachedProgram, start: startMemcached},
	{name: "sheaf-memory-3", class: threeSynced, start: contest.SheafTrio("memory", sheaf.Linearizable)},
	{name: "sheaf-pebble-3", class: threeSynced, start: contest.SheafTrio("pebble", sheaf.Linearizable)},
	{name: "etcd-3", class: threeSynced, start: startEtcd(startChildren)},
	{name: "nats-3", class: threeSynced, start: startNATS(natsSyncedChild, startChildren)},
	{name: "redis-wait2", class: threeSynced, program: redisProgram, start: startRedisTrio},
}

func entrantNames() []string {
	names := make([]string, len(entrants))
	for i, e := range entrants {
		names[i] = e.name
	}
	return names
}

// entrantNamed returns an entrant that is known to exist.
func entrantNamed(name string) entrant {
	return entrants[slices.IndexFunc(entrants, func(e entrant) bool { return e.name == name })]
}

// installed says whether the entrant's program is there.
func (e *entrant) installed() bool {
	if e.program == "" {
		return true
	}
	_, err := exec.LookPath(e.program)
	return err == nil
}

// isSheaf says whether a contestant is ours.
func isSheaf(name string) bool { return strings.HasPrefix(name, "sheaf-") }
