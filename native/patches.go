package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"
)

// target says which objects a patch is for: regular expressions that match whole words, and label selectors.
type target struct {
	Group       string `json:"group,omitempty"`
	Version     string `json:"version,omitempty"`
	Kind        string `json:"kind,omitempty"`
	Name        string `json:"name,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Labels      string `json:"labelSelector,omitempty"`
	Annotations string `json:"annotationSelector,omitempty"`
}

// patch is one as it is written: its text, or the path from the root of the file that holds it.
type patch struct {
	Patch  string  `json:"patch,omitempty"`
	Path   string  `json:"path,omitempty"`
	Target *target `json:"target,omitempty"`
}

// patcher is one that is ready to be laid over objects: operations, or an object to be merged.
type patcher struct {
	name        string
	selector    *types.SelectorRegex
	labels      labels.Selector
	annotations labels.Selector
	operations  jsonpatch.Patch
	merged      *resource.Resource
	used        bool
}

var resources = provider.NewDefaultDepProvider().GetResourceFactory()

func init() { jsonpatch.AccumulatedCopySizeLimit = 4 << 20 } // copies of copies

// text answers a patch's own text, or that of the file it names.
func (p patch) text(t *tree) (string, error) {
	if p.Path == "" {
		return p.Patch, nil
	}
	data, err := t.file(p.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fail("invalid", p.Path, "there is no patch %s in the repository", p.Path)
	}
	return string(data), err
}

// readPatches makes patches ready, and says what is wrong with them before anything is rendered.
func readPatches(t *tree, written []patch) ([]*patcher, error) {
	var made []*patcher
	for i, p := range written {
		name := fmt.Sprintf("patch %d", i+1)
		if p.Path != "" {
			name = "the patch " + p.Path
		}
		text, err := p.text(t)
		if err != nil {
			return nil, err
		}
		more, err := readPatch(name, text, p.Target)
		if err != nil {
			return nil, fail("invalid", p.Path, "%s: %s", name, tidy(err.Error()))
		}
		made = append(made, more...)
	}
	return made, nil
}

func readPatch(name, text string, wanted *target) ([]*patcher, error) {
	var documents []any
	for _, c := range split([]byte(text)) {
		values, err := decode(c.text, true)
		if err != nil {
			return nil, err
		}
		documents = append(documents, values...)
	}
	if len(documents) == 0 {
		return nil, errors.New("it is empty")
	}
	if len(documents) > 1 && wanted != nil {
		return nil, errors.New("a patch with a target is one document")
	}
	var made []*patcher
	for _, document := range documents {
		p, err := onePatch(document, wanted)
		if err != nil {
			return nil, err
		}
		p.name = name
		made = append(made, p)
	}
	return made, nil
}

func onePatch(document any, wanted *target) (*patcher, error) {
	if deeper(document, maxDepth) {
		return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	switch document := document.(type) {
	case []any:
		if wanted == nil {
			return nil, errors.New("operations (JSON 6902) need a target")
		}
		text, err := json.Marshal(document)
		if err != nil {
			return nil, err
		}
		operations, err := jsonpatch.DecodePatch(text)
		if err != nil {
			return nil, err
		}
		return aimed(&patcher{operations: operations}, *wanted)
	case map[string]any:
		merged, err := resources.FromMap(document)
		if err != nil {
			return nil, err
		}
		if wanted == nil {
			if wanted, err = itself(document); err != nil {
				return nil, err
			}
		}
		return aimed(&patcher{merged: merged}, *wanted)
	}
	return nil, errors.New("it is neither a mapping to be merged nor a list of operations (JSON 6902)")
}

// itself is the target of a patch that names the object it is for.
func itself(document map[string]any) (*target, error) {
	metadata, _ := document["metadata"].(map[string]any)
	version, _ := document["apiVersion"].(string)
	kind, _ := document["kind"].(string)
	name, _ := metadata["name"].(string)
	namespace, _ := metadata["namespace"].(string)
	if kind == "" || name == "" {
		return nil, errors.New("without a target it has to name its object: kind and metadata.name are missing")
	}
	group, version := resid.ParseGroupVersion(version)
	quoted := target{Group: group, Version: version, Kind: kind, Name: name, Namespace: namespace}
	for _, part := range []*string{&quoted.Group, &quoted.Version, &quoted.Kind, &quoted.Name, &quoted.Namespace} {
		*part = strings.ReplaceAll(*part, ".", `\.`)
	}
	return &quoted, nil
}

func aimed(p *patcher, wanted target) (*patcher, error) {
	selector, err := types.NewSelectorRegex(&types.Selector{ResId: resid.ResId{
		Gvk: resid.NewGvk(wanted.Group, wanted.Version, wanted.Kind), Name: wanted.Name, Namespace: wanted.Namespace,
	}})
	if err != nil {
		return nil, err
	}
	p.selector = selector
	if p.labels, err = labels.Parse(wanted.Labels); err != nil {
		return nil, err
	}
	p.annotations, err = labels.Parse(wanted.Annotations)
	return p, err
}

// fits says whether an object is one that the patch is for. An object that names no namespace is in the unit's.
func (p *patcher) fits(fields map[string]any, namespace string) bool {
	metadata, _ := fields["metadata"].(map[string]any)
	version, _ := fields["apiVersion"].(string)
	kind, _ := fields["kind"].(string)
	name, _ := metadata["name"].(string)
	if written, _ := metadata["namespace"].(string); written != "" {
		namespace = written
	}
	group, version := resid.ParseGroupVersion(version)
	return p.selector.MatchGvk(resid.NewGvk(group, version, kind)) && p.selector.MatchName(name) &&
		p.selector.MatchNamespace(namespace) && p.labels.Matches(pairs(metadata["labels"])) &&
		p.annotations.Matches(pairs(metadata["annotations"]))
}

func pairs(value any) labels.Set {
	found, _ := value.(map[string]any)
	set := labels.Set{}
	for key, value := range found {
		set[key], _ = value.(string)
	}
	return set
}

// over answers the object with the patch laid over it; nil when the patch deletes it.
func (p *patcher) over(fields map[string]any) (map[string]any, error) {
	p.used = true
	text, err := canonical(fields)
	if err != nil {
		return nil, err
	}
	if p.operations != nil {
		if text, err = p.operations.Apply(text); err != nil {
			return nil, err
		}
	} else if text, err = p.merge(fields); err != nil || text == nil {
		return nil, err
	}
	values, err := decode(text, false)
	if err != nil {
		return nil, err
	}
	changed, isMap := values[0].(map[string]any)
	if !isMap {
		return nil, errors.New("what it leaves is no object")
	}
	return changed, nil
}

func (p *patcher) merge(fields map[string]any) ([]byte, error) {
	live, err := resources.FromMap(fields)
	if err != nil {
		return nil, err
	}
	merged := p.merged.DeepCopy()
	merged.SetGvk(live.GetGvk())
	if err := live.ApplySmPatch(merged); err != nil || live.IsNilOrEmpty() {
		return nil, err
	}
	return live.MarshalJSON()
}

// overlay is a generated kustomization, with the text of its patches in place of their paths.
func overlay(t *tree, written json.RawMessage, patches []patch) (map[string]any, error) {
	made := map[string]any{}
	if err := json.Unmarshal(written, &made); err != nil {
		return nil, err
	}
	var list []patch
	for _, p := range patches {
		text, err := p.text(t)
		if err != nil {
			return nil, err
		}
		list = append(list, patch{Patch: asJSON(text), Target: p.Target})
	}
	if list != nil {
		made["patches"] = list
	}
	return made, nil
}

// asJSON writes operations as Kustomize can read them whatever their YAML looks like; a piece of an object stays.
func asJSON(text string) string {
	if values, err := decode([]byte(text), true); err == nil && len(values) == 1 {
		if operations, isList := values[0].([]any); isList {
			made, _ := canonical(operations)
			return string(made)
		}
	}
	return text
}

// fromBase carries over what Kustomize only heeds in the kustomization that it is started on.
func fromBase(made map[string]any, base []byte) {
	var kept map[string]any
	if yaml.Unmarshal(base, &kept) != nil {
		return
	}
	for _, key := range []string{"buildMetadata", "sortOptions"} {
		if value, there := kept[key]; there {
			made[key] = value
		}
	}
}
