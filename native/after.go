package main

import (
	"encoding/json"
	"fmt"
)

// after is what is done to every object once it is rendered, whatever rendered it: patches, then variables.
type after struct {
	Namespace  string          `json:"namespace"` // of objects that name none
	Written    []patch         `json:"patches"`
	Substitute json.RawMessage `json:"substitute"`

	patches   []*patcher
	variables *variables
}

// begin makes ready what a request asks to be done afterwards.
func (j *job) begin(asked *after) (err error) {
	if asked == nil {
		return nil
	}
	if asked.patches, err = readPatches(j.tree, asked.Written); err != nil {
		return err
	}
	if asked.variables, err = readVariables(asked.Substitute, j.limits.Object); err != nil {
		return err
	}
	j.after = asked
	return nil
}

// change answers an object as it is after patches and variables; nil when a patch deletes it.
func (a *after) change(fields map[string]any) (map[string]any, error) {
	if a == nil {
		return fields, nil
	}
	for _, p := range a.patches {
		if !p.fits(fields, a.Namespace) {
			continue
		}
		changed, err := p.over(fields)
		if err != nil {
			return nil, fmt.Errorf("%s: %s", p.name, tidy(err.Error()))
		}
		if changed == nil {
			return nil, nil
		}
		fields = changed
	}
	if a.variables != nil {
		return a.variables.fill(fields)
	}
	return fields, nil
}

// end tells of patches that were for nothing: most often their target is misspelt.
func (j *job) end() {
	if j.after == nil {
		return
	}
	for _, p := range j.after.patches {
		if !p.used {
			fmt.Fprintf(bounded{j.warnings}, "%s is for no object that is here\n", p.name)
		}
	}
}
