package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-jsonnet"
	kjson "sigs.k8s.io/json"
)

// jsonnetOptions are what programs see from outside: variables and arguments as texts or as code, and the folders that
// imports are looked for in after the importing file's own, the last of them first.
type jsonnetOptions struct {
	Variables    map[string]string `json:"extVars"`
	VariableCode map[string]string `json:"extCode"`
	Arguments    map[string]string `json:"tlas"`
	ArgumentCode map[string]string `json:"tlaCode"`
	Libraries    []string          `json:"libs"`
}

var jsonnetPlace = regexp.MustCompile(`([^\s:()]+\.(?:jsonnet|libsonnet)):\(?(\d+)`)

// evaluate runs a Jsonnet file and sends the objects that it makes: one, a list of them, or a tree that holds them.
func (j *job) evaluate(name string, o jsonnetOptions) error {
	vm := jsonnet.MakeVM()
	vm.MaxStack = 500
	vm.SetTraceOut(bounded{j.warnings})
	vm.Importer(&importer{tree: j.tree, libraries: o.Libraries, found: map[string]jsonnet.Contents{}})
	given := []map[string]string{o.Variables, o.VariableCode, o.Arguments, o.ArgumentCode}
	for n, set := range []func(string, string){vm.ExtVar, vm.ExtCode, vm.TLAVar, vm.TLACode} {
		for key, value := range given[n] {
			set(key, value)
		}
	}
	text, err := vm.EvaluateFile(name)
	if err != nil {
		return inProgram(name, err)
	}
	var value any
	if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(text), &value); err != nil {
		return fail("invalid", name, "%s", err)
	}
	return j.emitTree(value, name, 0)
}

// emitTree sends what a program made. A mapping without kind is no object, but one that holds some.
func (j *job) emitTree(value any, name string, depth int) error {
	if depth > 8 {
		return fail("invalid", name, "objects stand in lists and mappings more than 8 levels deep")
	}
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		for _, item := range value {
			if err := j.emitTree(item, name, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		_, kind := value["kind"]
		_, version := value["apiVersion"]
		if kind || version {
			break
		}
		for _, key := range sortedKeys(value) {
			if err := j.emitTree(value[key], name, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return j.emit(value, object{Path: name}, 0)
}

func sortedKeys(value map[string]any) []string {
	keys := make([]string, 0, len(value))
	for key := range value {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// importer reads what programs import from the repository, and nothing else.
type importer struct {
	tree      *tree
	libraries []string
	found     map[string]jsonnet.Contents
}

func (i *importer) Import(from, wanted string) (jsonnet.Contents, string, error) {
	if path.IsAbs(wanted) {
		return jsonnet.Contents{}, "", i.tree.refuse(fail("refused", from, "the import %q is absolute; imports are relative", wanted))
	}
	folders := []string{path.Dir(from)}
	for n := len(i.libraries) - 1; n >= 0; n-- {
		folders = append(folders, i.libraries[n])
	}
	outside := false
	for _, folder := range folders {
		at := path.Join(folder, wanted)
		if at == ".." || strings.HasPrefix(at, "../") {
			outside = true
			continue
		}
		if contents, known := i.found[at]; known {
			return contents, at, nil
		}
		data, err := i.tree.file(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return jsonnet.Contents{}, "", err
		}
		i.found[at] = jsonnet.MakeContentsRaw(append([]byte{}, data...))
		return i.found[at], at, nil
	}
	if outside {
		return jsonnet.Contents{}, "", i.tree.refuse(fail("refused", from, "the import %q leads out of the repository", wanted))
	}
	return jsonnet.Contents{}, "", fmt.Errorf("there is no %s in %s", wanted, strings.Join(readable(folders), ", nor in "))
}

func readable(folders []string) []string {
	var names []string
	for _, folder := range folders {
		if folder == "" || folder == "." {
			folder = "the repository's root"
		}
		names = append(names, folder)
	}
	return names
}

func inProgram(name string, err error) error {
	text := tidy(strings.TrimPrefix(err.Error(), "RUNTIME ERROR: "))
	f := fail("invalid", name, "%s", text)
	if found := jsonnetPlace.FindStringSubmatch(text); found != nil {
		f.Path = found[1]
		f.Line, _ = strconv.Atoi(found[2])
	}
	if first, _, more := strings.Cut(text, "\n"); more {
		f.What = strings.TrimSpace(first)
	}
	return f
}
