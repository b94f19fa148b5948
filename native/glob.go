package main

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// glob answers the files that a pattern matches, in order: `*`, `?` and `[…]` within a name, `**` for any folders. A
// path that is no pattern stands for itself. The folders that it looks into are logged as read.
func glob(t *tree, pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}, nil
	}
	if e, err := t.look(pattern); err != nil || e.Kind == "file" {
		return []string{pattern}, err
	}
	parts := strings.Split(pattern, "/")
	fixed := slices.IndexFunc(parts, func(part string) bool { return strings.ContainsAny(part, "*?[") })
	var found []string
	err := descend(t, path.Join(parts[:fixed]...), parts[fixed:], &found)
	slices.Sort(found)
	return slices.Compact(found), err
}

func descend(t *tree, at string, parts []string, found *[]string) error {
	if e, err := t.look(at); err != nil || e.Kind != "folder" && at != "" {
		return err
	}
	here, err := t.list(at)
	if err != nil {
		return err
	}
	if parts[0] == "**" && len(parts) > 1 {
		if err := descend(t, at, parts[1:], found); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(here.Entries)) {
		e, below := here.Entries[name], path.Join(at, name)
		if parts[0] == "**" && e.Kind == "folder" {
			if err := descend(t, below, parts, found); err != nil {
				return err
			}
			continue
		}
		matched, err := path.Match(parts[0], name)
		if err != nil {
			return fail("invalid", at, "the pattern %q is malformed", parts[0])
		}
		switch {
		case !matched:
		case len(parts) > 1 && e.Kind == "folder":
			err = descend(t, below, parts[1:], found)
		case len(parts) == 1 && e.Kind != "folder":
			*found = append(*found, below)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
