package main

import (
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
	"sigs.k8s.io/yaml"
)

// treeRoot is where Kustomize sees the repository. Whatever is not below it does not exist.
const treeRoot = "/kedge.repository"

// kustomize builds an overlay as `kustomize build` does, without plugins, functions, charts and remote bases.
func kustomize(j *job, options json.RawMessage) error {
	var o struct {
		Folder string `json:"folder"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return err
	}
	with := krusty.MakeDefaultOptions()
	with.Reorder = krusty.ReorderOptionUnspecified // as the command line
	made, err := krusty.MakeKustomizer(with).Run(files{filesys.MakeFsInMemory(), j.tree}, path.Join(treeRoot, o.Folder))
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
	tree *tree
}

func (f files) at(name string) (string, error) {
	below, err := filepath.Rel(treeRoot, name)
	if err != nil || below == ".." || strings.HasPrefix(below, "../") {
		return "", f.tree.refuse(fail("refused", "", "a kustomization names a path that leads out of the repository"))
	}
	if below == "." {
		return "", nil
	}
	return below, nil
}

func (f files) look(name string) (string, entry, error) {
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

func (f files) Exists(name string) bool {
	_, e, err := f.look(name)
	return err == nil && e.Kind != ""
}

func (f files) IsDir(name string) bool {
	_, e, err := f.look(name)
	return err == nil && e.Kind == "folder"
}

func (f files) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
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

func (f files) ReadDir(name string) ([]string, error) {
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

func (f files) ReadFile(name string) ([]byte, error) {
	at, err := f.at(name)
	if err != nil {
		return nil, err
	}
	data, err := f.tree.file(at)
	if err == nil && slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(at)) {
		err = f.judge(at, data)
	}
	return append([]byte{}, data...), err
}

// judge refuses what a kustomization may not ask for, before Kustomize tries it.
func (f files) judge(at string, data []byte) error {
	var k struct {
		Resources  []string `json:"resources"`
		Bases      []string `json:"bases"`
		Components []string `json:"components"`
		Charts     []any    `json:"helmCharts"`
		Inflate    []any    `json:"helmChartInflationGenerator"`
	}
	if yaml.Unmarshal(data, &k) != nil {
		return nil // Kustomize says what is wrong with it
	}
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
