package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

const envPrefix = "SHEAF_"

// notSettings are environment variables of the command line itself: where a
// node is, and which file to load.
var notSettings = []string{"SHEAF_ADDR", "SHEAF_CONFIG"}

// Origins says where each value came from, by key. A key that is missing has
// its default.
type Origins map[string]string

// Of reads "flag --store", "environment SHEAF_STORE", "file sheaf.yaml" or "default".
func (o Origins) Of(key string) string {
	if origin, ok := o[key]; ok {
		return origin
	}
	return "default"
}

// Load takes each setting from the flags that were given, else from env (in the
// form of os.Environ), else from the YAML file, else from the default. flags may
// be nil and file empty. The error names every key that is unknown and every
// value that cannot be read; whether the values make sense together is for
// [Config.Validate] to say.
func Load(flags *pflag.FlagSet, environ []string, path string) (Config, Origins, error) {
	l := loader{merged: koanf.New("."), origins: Origins{}}
	l.problem(l.merged.Load(confmap.Provider(flatten(Default()), "."), nil))
	l.file(path)
	l.environment(environ)
	l.flags(flags)
	if len(l.problems) > 0 {
		return Config{}, nil, errors.Join(l.problems...)
	}
	var c Config
	if err := l.merged.Unmarshal("", &c); err != nil {
		return Config{}, nil, fmt.Errorf("read configuration: %w", err)
	}
	return c, l.origins, nil
}

// loader lays one source over another, the most important last.
type loader struct {
	merged   *koanf.Koanf
	origins  Origins
	problems []error
}

func (l *loader) problem(err error) {
	if err != nil {
		l.problems = append(l.problems, err)
	}
}

func (l *loader) file(path string) {
	if path == "" {
		return
	}
	source := koanf.New(".")
	if err := source.Load(file.Provider(path), yaml.Parser()); err != nil {
		// The path is in the error of a file that is missing, but not in one of YAML.
		var missing *fs.PathError
		if !errors.As(err, &missing) {
			err = fmt.Errorf("%s: %w", path, err)
		}
		l.problem(fmt.Errorf("read configuration file: %w", err))
		return
	}
	l.merge(source, func(Setting) string { return "file " + path })
}

func (l *loader) environment(environ []string) {
	source := koanf.New(".")
	var unknown []string
	l.problem(source.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if slices.Contains(notSettings, name) {
				return "", nil
			}
			for _, s := range Settings {
				if s.Env == name {
					return s.Key, value
				}
			}
			unknown = append(unknown, name)
			return "", nil
		},
	}), nil))
	for _, name := range unknown {
		var known []string
		for _, s := range Settings {
			known = append(known, s.Env)
		}
		l.problem(fmt.Errorf("unknown environment variable %s: %s", name, suggest(name, append(known, notSettings...))))
	}
	l.merge(source, func(s Setting) string { return "environment " + s.Env })
}

func (l *loader) flags(flags *pflag.FlagSet) {
	if flags == nil {
		return
	}
	source := koanf.New(".")
	keyOf := make(map[string]string)
	for _, s := range Settings {
		keyOf[s.Flag] = s.Key
	}
	l.problem(source.Load(posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		return keyOf[f.Name], f.Value.String()
	}), nil))
	l.merge(source, func(s Setting) string { return "flag --" + s.Flag })
}

// merge reads each text of a source as its setting's kind and lays it over what
// there is.
func (l *loader) merge(source *koanf.Koanf, origin func(Setting) string) {
	all := source.All()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		raw := all[key]
		i := slices.IndexFunc(Settings, func(s Setting) bool { return s.Key == key })
		switch {
		case i < 0 && raw == nil && isSection(key):
			continue // a section whose lines are all commented out
		case i < 0:
			l.problem(fmt.Errorf("%s: unknown key %s: %s", origin(Setting{}), key, suggestKey(key)))
			continue
		}
		s := Settings[i]
		value, err := s.read(raw)
		if err != nil {
			l.problem(fmt.Errorf("%s: %s: %w", origin(s), key, err))
			continue
		}
		l.problem(l.merged.Load(confmap.Provider(map[string]any{key: value}, "."), nil))
		l.origins[key] = origin(s)
	}
}

// read takes a value as YAML or a text gave it.
func (s Setting) read(raw any) (any, error) {
	switch raw.(type) {
	case nil:
		return nil, errors.New("has no value: give it one, or leave the key out for the default")
	case string, bool, int, int64, uint64, float64:
		return s.kind.parse(fmt.Sprint(raw))
	}
	return nil, fmt.Errorf("takes one %s, not a list", s.kind)
}

func isSection(key string) bool {
	return slices.ContainsFunc(Settings, func(s Setting) bool { return strings.HasPrefix(s.Key, key+".") })
}
