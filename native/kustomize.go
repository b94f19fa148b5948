package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/yaml"
)

// treeRoot is where Kustomize sees the repository. Whatever is not below it does not exist.
const treeRoot = "/kedge.repository"

// kustomize builds an overlay as `kustomize build` does, without plugins, functions, charts and remote bases.
func kustomize(j *job, options json.RawMessage) error {
	var o struct {
		Folder  string          `json:"folder"`
		Overlay json.RawMessage `json:"overlay"` // fields of a kustomization to be laid over the folder's
		Patches []patch         `json:"patches"`
		Parts   []string        `json:"components"` // folders, from the root
		Lacking bool            `json:"ignoreMissingComponents"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return err
	}
	shown := files{FileSystem: filesys.MakeFsInMemory(), tree: j.tree}
	start := path.Join(treeRoot, o.Folder)
	if o.Overlay != nil {
		made, err := overlay(j.tree, o.Overlay, o.Patches)
		if err != nil {
			return err
		}
		if o.Lacking {
			if o.Parts, err = present(j.tree, o.Parts); err != nil {
				return err
			}
		}
		if shown.overlay, err = shown.generated(made, o.Folder, o.Parts); err != nil {
			return err
		}
		start = overlayRoot
	}
	defer shown.forgetSchema()
	with := krusty.MakeDefaultOptions()
	with.Reorder = krusty.ReorderOptionUnspecified // as the command line
	made, err := krusty.MakeKustomizer(with).Run(&shown, start)
	if err != nil {
		return fail("invalid", o.Folder, "%s", tidy(err.Error()))
	}
	for _, r := range made.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			return fail("invalid", o.Folder, "%s: %s", r.CurId(), err)
		}
		if err := j.emitText(o.Folder, text, true, true); err != nil {
			return err
		}
	}
	return nil
}

// files shows the tree as the file system that Kustomize expects. What a build does not use, writing above all, is that
// of an empty one in memory.
type files struct {
	filesys.FileSystem
	tree    *tree
	overlay []byte // the generated kustomization in overlayRoot
	schema  bool   // some kustomization brings a schema of its own, which Kustomize keeps for the whole process
}

// overlayRoot is where Kustomize sees the kustomization that is generated from a unit's options: beside the repository,
// of which nothing is ever written.
const (
	overlayRoot = "/kedge.overlay"
	overlayFile = overlayRoot + "/kustomization.yaml"
)

// present answers the folders that are there, and logs the question for those that are not: they may come.
func present(t *tree, folders []string) ([]string, error) {
	var found []string
	for _, name := range folders {
		e, err := t.look(name)
		if err != nil {
			return nil, err
		}
		if e.Kind == "" {
			t.log(name, e)
		} else {
			found = append(found, name)
		}
	}
	return found, nil
}

// generated is the text of a kustomization over a folder and components of the repository.
func (f *files) generated(made map[string]any, folder string, parts []string) ([]byte, error) {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		at := path.Join(folder, name)
		if e, err := f.tree.look(at); err != nil {
			return nil, err
		} else if e.Kind == "file" {
			text, err := f.tree.file(at)
			if err != nil {
				return nil, err
			}
			fromBase(made, text)
			break
		}
	}
	beside := func(name string) string { return path.Join("..", treeRoot, name) }
	var components []string
	for _, part := range parts {
		components = append(components, beside(part))
	}
	made["resources"] = []string{beside(folder)}
	if components != nil {
		made["components"] = components
	}
	return json.Marshal(made)
}

// forgetSchema puts Kustomize's schemas back to what they were, so that no build sees those of another.
func (f *files) forgetSchema() {
	if f.schema {
		openapi.ResetOpenAPI()
	}
}

func (f *files) at(name string) (string, error) {
	below, err := filepath.Rel(treeRoot, name)
	if err != nil || below == ".." || strings.HasPrefix(below, "../") {
		return "", f.tree.refuse(fail("refused", "", "a kustomization names a path that leads out of the repository"))
	}
	if below == "." {
		return "", nil
	}
	return below, nil
}

func (f *files) look(name string) (string, entry, error) {
	at, err := f.at(name)
	if err != nil {
		return "", entry{}, err
	}
	e, err := f.tree.look(at)
	if err == nil && e.Kind != "folder" {
		f.tree.log(at, e)
	}
	return at, e, err
}

func (f *files) Exists(name string) bool {
	if f.ours(name) {
		return name == overlayRoot || name == overlayFile
	}
	_, e, err := f.look(name)
	return err == nil && e.Kind != ""
}

// ours says whether a path is that of the generated kustomization.
func (f *files) ours(name string) bool {
	return f.overlay != nil && (name == overlayRoot || strings.HasPrefix(name, overlayRoot+"/"))
}

func (f *files) IsDir(name string) bool {
	if f.ours(name) {
		return name == overlayRoot
	}
	_, e, err := f.look(name)
	return err == nil && e.Kind == "folder"
}

func (f *files) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	switch {
	case f.overlay != nil && name == overlayRoot:
		return overlayRoot, "", nil
	case f.overlay != nil && name == overlayFile:
		return overlayRoot, path.Base(overlayFile), nil
	case f.ours(name):
		return "", "", &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	at, e, err := f.look(name)
	if err != nil {
		return "", "", err
	}
	switch e.Kind {
	case "folder":
		return filesys.ConfirmedDir(path.Join(treeRoot, at)), "", nil
	case "file":
		folder, file := path.Split(path.Join(treeRoot, at))
		return filesys.ConfirmedDir(path.Clean(folder)), file, nil
	}
	return "", "", &fs.PathError{Op: "lstat", Path: at, Err: fs.ErrNotExist}
}

func (f *files) ReadDir(name string) ([]string, error) {
	if f.ours(name) {
		return []string{path.Base(overlayFile)}, nil
	}
	at, err := f.at(name)
	if err != nil {
		return nil, err
	}
	folder, err := f.tree.list(at)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(folder.Entries)), nil
}

func (f *files) ReadFile(name string) ([]byte, error) {
	if f.ours(name) {
		if name != overlayFile {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return append([]byte{}, f.overlay...), nil
	}
	at, err := f.at(name)
	if err != nil {
		return nil, err
	}
	data, err := f.tree.file(at)
	if err == nil {
		err = f.unfold(at, data)
	}
	if err == nil && slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(at)) {
		err = f.judge(at, data)
	}
	return append([]byte{}, data...), err
}

// unfold refuses aliases that stand for more than a file may hold: Kustomize would write them all out.
func (f *files) unfold(at string, data []byte) error {
	if !bytes.Contains(data, []byte("*")) || !bytes.Contains(data, []byte("&")) {
		return nil
	}
	for _, c := range split(data) {
		if _, err := yaml.YAMLToJSON(c.text); err != nil && strings.Contains(err.Error(), "excessive aliasing") {
			return f.tree.refuse(placed(at, c, err))
		}
	}
	return nil
}

// judge refuses what a kustomization may not ask for, before Kustomize tries it.
func (f *files) judge(at string, data []byte) error {
	var k struct {
		Resources  []string `json:"resources"`
		Bases      []string `json:"bases"`
		Components []string `json:"components"`
		Charts     []any    `json:"helmCharts"`
		Inflate    []any    `json:"helmChartInflationGenerator"`
		Schema     any      `json:"openapi"`
	}
	if yaml.Unmarshal(data, &k) != nil {
		return nil // Kustomize says what is wrong with it
	}
	f.schema = f.schema || k.Schema != nil
	if len(k.Charts)+len(k.Inflate) > 0 {
		return f.tree.refuse(fail("refused", at, "helmCharts would run a program; render the chart as an application of its own"))
	}
	for _, base := range slices.Concat(k.Resources, k.Bases, k.Components) {
		if remote(base) {
			return f.tree.refuse(fail("refused", at, "%q is not in the repository, and a render reads nothing else; keep a copy of it there", base))
		}
		if _, err := f.tree.inside(path.Dir(at), base); err != nil {
			return err
		}
	}
	return nil
}

// remote says whether Kustomize would clone or download a path rather than read it.
func remote(base string) (is bool) {
	defer func() { is = recover() != nil || is }()
	if strings.HasPrefix(base, "http://") || strings.HasPrefix(base, "https://") {
		return true
	}
	return (&resource.Origin{}).Append(base).Repo != ""
}
