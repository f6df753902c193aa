package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sheafdb/sheaf/internal/config"
)

// exactArgs takes n arguments, and otherwise shows what they are.
func exactArgs(n int) cobra.PositionalArgs {
	return argsWhere(func(given int) bool { return given == n })
}

// someArgs takes one argument or more.
func someArgs() cobra.PositionalArgs {
	return argsWhere(func(given int) bool { return given > 0 })
}

func argsWhere(ok func(given int) bool) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if ok(len(args)) {
			return nil
		}
		return fmt.Errorf("wrong number of arguments (%d): it is used as %q", len(args), command.UseLine())
	}
}

// parent makes a command one that only has others below it: alone it shows help, and what is
// none of them is a mistake.
func parent(command *cobra.Command) {
	command.RunE = func(command *cobra.Command, args []string) error {
		if len(args) == 0 {
			return command.Help()
		}
		var known []string
		for _, sub := range command.Commands() {
			known = append(known, sub.Name())
		}
		next := fmt.Sprintf("%q lists the commands", command.CommandPath()+" --help")
		if near, ok := config.Nearest(args[0], known); ok {
			next = fmt.Sprintf("did you mean %q? %s", command.CommandPath()+" "+near, next)
		}
		return &exitError{code: exitUsage, next: next, err: fmt.Errorf("there is no command %q", args[0])}
	}
}

// unknownFlag adds the nearest flag there is to the error of one there is not.
func unknownFlag(command *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var known []string
	command.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	near, ok := config.Nearest(unknown.GetSpecifiedName(), known)
	if !ok {
		return err
	}
	return fmt.Errorf("%w: did you mean --%s?", err, near)
}

// sizeFlag is a number of bytes on the command line: 4096, 4MiB.
type sizeFlag int64

// String is for pflag.
func (s *sizeFlag) String() string { return config.FormatSize(int64(*s)) }

// Type is for pflag.
func (s *sizeFlag) Type() string { return "size" }

// Set is for pflag.
func (s *sizeFlag) Set(text string) error {
	n, err := config.ParseSize(text)
	*s = sizeFlag(n)
	return err
}

// asGiven is a command with the flags that it was given, but for some.
func asGiven(command *cobra.Command, without ...string) string {
	words := []string{command.CommandPath()}
	command.Flags().Visit(func(flag *pflag.Flag) {
		switch {
		case slices.Contains(without, flag.Name):
		case flag.NoOptDefVal != "" && flag.Value.String() == flag.NoOptDefVal:
			words = append(words, "--"+flag.Name)
		default:
			words = append(words, "--"+flag.Name+" "+shellQuote(flag.Value.String()))
		}
	})
	return strings.Join(words, " ")
}
