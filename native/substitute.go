package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
)

// variables fill `${…}` in the texts of objects. A text that is one expression and nothing else takes the value with its
// type, so that a number stays a number and no value can add structure.
type variables struct {
	Values  map[string]any    `json:"values"`
	Secrets map[string]string `json:"secrets"`
	Unknown string            `json:"unknown"` // fail, empty or keep

	limit int // bytes of one text
}

func readVariables(written json.RawMessage, limit int) (*variables, error) {
	if written == nil {
		return nil, nil
	}
	v := &variables{limit: limit}
	return v, kjson.UnmarshalCaseSensitivePreserveInts(written, v)
}

// optOut are the annotations and labels by which an object keeps its texts as they are.
var optOut = []string{"kedge.dev/substitute", "kustomize.toolkit.fluxcd.io/substitute"}

func (v *variables) fill(fields map[string]any) (map[string]any, error) {
	metadata, _ := fields["metadata"].(map[string]any)
	for _, at := range []string{"annotations", "labels"} {
		entries, _ := metadata[at].(map[string]any)
		for _, key := range optOut {
			if text, _ := entries[key].(string); strings.EqualFold(text, "disabled") {
				return fields, nil
			}
		}
	}
	f := filling{variables: v, secret: fields["kind"] == "Secret" && fields["apiVersion"] == "v1"}
	filled, err := f.value(fields, nil)
	if err != nil {
		return nil, err
	}
	return filled.(map[string]any), nil
}

// filling is one object's turn.
type filling struct {
	*variables
	secret bool // the object is a Secret
}

func (f filling) value(value any, at []string) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		return f.mapping(value, at)
	case []any:
		for i, item := range value {
			filled, err := f.value(item, at)
			if err != nil {
				return nil, err
			}
			value[i] = filled
		}
	case string:
		if strings.Contains(value, "$") {
			return f.text(value, at)
		}
	}
	return value, nil
}

func (f filling) mapping(value map[string]any, at []string) (any, error) {
	filled := make(map[string]any, len(value))
	for key, item := range value {
		under := append(slices.Clip(at), key)
		if strings.Contains(key, "$") {
			made, err := f.text(key, []string{"name"}) // a key is seen by everybody
			if err != nil {
				return nil, err
			}
			key = written(made)
		}
		if _, twice := filled[key]; twice {
			return nil, fmt.Errorf("%s: two keys become %q", strings.Join(at, "."), key)
		}
		made, err := f.value(item, under)
		if err != nil {
			return nil, err
		}
		filled[key] = made
	}
	return filled, nil
}

func (f filling) text(text string, at []string) (any, error) {
	e := expander{variables: f.variables, text: text}
	made, err := e.whole()
	if err != nil && e.secret { // its words may be the secret's
		err = fmt.Errorf("an expression that the secret %s is in can not be read", e.name)
	}
	if err == nil && e.secret && !(f.secret && len(at) > 1 && at[0] == "stringData") {
		err = fmt.Errorf("the secret %s may only be filled into the stringData of a Secret: anything else is shown to people", e.name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(at, "."), err)
	}
	if onlyText(at) {
		return written(made), nil
	}
	return made, nil
}

// onlyText says whether Kubernetes takes nothing but a text at a path, so that `3` is a text there, too.
func onlyText(at []string) bool {
	last := at[len(at)-1]
	if slices.Contains([]string{"name", "namespace", "image", "command", "args", "apiVersion", "kind"}, last) {
		return true
	}
	if len(at) < 2 {
		return false
	}
	above := at[len(at)-2]
	if len(at) == 2 && slices.Contains([]string{"data", "stringData", "binaryData"}, above) {
		return true
	}
	return above == "env" && last == "value" ||
		slices.Contains([]string{"labels", "annotations", "matchLabels", "nodeSelector"}, above)
}

// written is a value as a text.
func written(value any) string {
	if text, isText := value.(string); isText {
		return text
	}
	text, _ := canonical(value)
	return string(text)
}

// typed reads a default as YAML reads a plain scalar: numbers and truth values, everything else a text.
func typed(text string) any {
	var value any
	if text == "true" || text == "false" || strings.Trim(text, "-0123456789.") == "" {
		if kjson.UnmarshalCaseSensitivePreserveInts([]byte(text), &value) == nil {
			return value
		}
	}
	return text
}
