package drive

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// bank moves money between accounts: it reads two and writes both, on condition that neither
// has changed. All money is in the accounts at every instant.
type bank struct {
	plain
	names []string
}

const (
	leastAccounts = 4
	mostAccounts  = 10
	// firstBalance is in each account at the beginning.
	firstBalance = 100
	// mostTransferred is small, so that accounts are rarely empty, and sometimes.
	mostTransferred = 60
)

func newBank(t *team) script {
	return &bank{names: named("a", leastAccounts+t.rng.IntN(mostAccounts-leastAccounts+1))}
}

func (s *bank) keys() []string { return s.names }

// balance is an account's value: what is in it, and a mark that no other value has.
func (c *caller) balance(money int) *string {
	value := fmt.Sprintf("%d %s", money, c.fresh())
	return &value
}

// begin fills the accounts. Without that there is nothing to do.
func (s *bank) begin(c *caller) bool {
	b := &batch{keys: s.names, condition: history.NoneExists, expect: make([]*string, len(s.names))}
	for range s.names {
		b.values = append(b.values, c.balance(firstBalance))
	}
	if c.write(b) == history.Unknown {
		c.settle()
	}
	f, ok := c.read(sheaf.Linearizable, s.names...)
	return ok && f.values[0] != nil
}

func (s *bank) step(c *caller) {
	if c.percent(45) {
		c.read(sheaf.Linearizable, s.names...)
		return
	}
	b := &batch{keys: some(c.rng, s.names, 2, 2)}
	f, ok := c.read(sheaf.Linearizable, b.keys...)
	if !ok || f.values[0] == nil || f.values[1] == nil {
		return
	}
	from, to := money(*f.values[0]), money(*f.values[1])
	amount := 1 + c.rng.IntN(mostTransferred)
	if from < amount {
		return // insufficient funds
	}
	b.values = []*string{c.balance(from - amount), c.balance(to + amount)}
	b.onlyIf(c, f)
	c.write(b)
}

// money is what a balance says. What no client wrote is no money, and the judge will see it.
func money(balance string) int {
	digits, _, _ := strings.Cut(balance, " ")
	n, _ := strconv.Atoi(digits)
	return n
}
