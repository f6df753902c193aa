package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf/internal/config"
)

const configNext = `"sheaf config show" lists every setting, and docs/configuration.md explains them`

func (a *app) configCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "config",
		Short:   "show and check the configuration of a node",
		Long:    "Show and check the configuration that \"sheaf serve\" would use.",
		Example: "  sheaf config show --config sheaf.yaml\n  sheaf config check sheaf.yaml",
		GroupID: groupNode,
	}
	parent(command)
	command.AddCommand(a.configShowCommand(), a.configCheckCommand())
	return command
}

func (a *app) configShowCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "show",
		Short: "print each effective value and where it comes from",
		Long: `Print the value of each setting and where it comes from: a flag, the environment,
the file or the default. It takes the flags of "sheaf serve".`,
		Example: "  sheaf config show\n  SHEAF_STORE=memory sheaf config show --config sheaf.yaml -o json",
		Args:    cobra.NoArgs,
	}
	file := a.configFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, origins, err := a.loadConfig(command, *file)
		if err != nil {
			return err
		}
		values := c.Values()
		w := columns(a.stdout)
		for _, s := range config.Settings {
			value, origin := values[s.Key], origins.Of(s.Key)
			if a.output == jsonForm {
				err = a.printJSON(struct {
					Key    string `json:"key"`
					Value  string `json:"value"`
					Origin string `json:"origin"`
				}{s.Key, value, origin})
			} else {
				_, err = fmt.Fprintf(w, "%s\t%s\t%s\n", s.Key, value, origin)
			}
			if err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		return badConfig(c.Validate())
	}
	return command
}

func (a *app) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE",
		Short:   "check a configuration file",
		Long:    "Check a configuration file by itself, without flags and environment. Exit code 0\nmeans that a node could start with it, 1 that it could not, and why.",
		Example: "  sheaf config check sheaf.yaml",
		Args:    exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, _, err := config.Load(nil, nil, args[0])
			if err == nil {
				err = c.Validate()
			}
			if err != nil {
				return badConfig(err)
			}
			_, err = fmt.Fprintf(a.stdout, "%s is good\n", args[0])
			return err
		},
	}
}

// configFlags adds --config and a flag per setting.
func (a *app) configFlags(command *cobra.Command) (file *string) {
	file = command.Flags().String("config", a.getenv("SHEAF_CONFIG"), "YAML file with settings (SHEAF_CONFIG)")
	config.RegisterFlags(command.Flags())
	must(command.RegisterFlagCompletionFunc("store", cobra.FixedCompletions(config.Stores, cobra.ShellCompDirectiveNoFileComp)))
	return file
}

func (a *app) loadConfig(command *cobra.Command, file string) (config.Config, config.Origins, error) {
	c, origins, err := config.Load(command.Flags(), a.env, file)
	return c, origins, badConfig(err)
}

func badConfig(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitUsage, next: configNext, err: fmt.Errorf("the configuration is wrong:\n%w", err)}
}
