package cli

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is the release this source is on the way to. A module that was built
// at a tag knows better, and says so in its build information.
const version = "0.1.0"

// buildVersion is what a running program calls itself.
type buildVersion struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Commit  string `json:"commit,omitempty"`
	// Modified: the source had changes that no commit has.
	Modified bool   `json:"modified,omitempty"`
	Platform string `json:"platform"`
}

// untagged matches the versions that Go makes up for a commit without a tag.
var untagged = regexp.MustCompile(`\d{14}-[0-9a-f]{12}|\+dirty`)

func currentVersion() buildVersion {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) buildVersion {
	v := buildVersion{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if tag, ok := strings.CutPrefix(info.Main.Version, "v"); ok && !untagged.MatchString(tag) {
		v.Version = tag
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version of this program",
		Example: "  sheaf version\n  sheaf version -o json",
		GroupID: groupLook,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := currentVersion()
			if a.output == jsonForm {
				return a.printJSON(v)
			}
			line := fmt.Sprintf("sheaf %s  %s  %s", v.Version, v.Go, v.Platform)
			if v.Commit != "" {
				line += "  commit " + v.Commit[:min(12, len(v.Commit))]
			}
			if v.Modified {
				line += " (modified)"
			}
			_, err := fmt.Fprintln(a.stdout, line)
			return err
		},
	}
}
