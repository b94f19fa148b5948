package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // dates in named zones mean the same on every machine

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/ignore"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
)

type helmOptions struct {
	Chart       string         `json:"chart"` // folder
	Release     string         `json:"release"`
	Namespace   string         `json:"namespace"`
	ValuesFiles []string       `json:"valuesFiles"` // paths from the root
	Values      map[string]any `json:"values"`
	KubeVersion string         `json:"kubeVersion"`
	APIVersions []string       `json:"apiVersions"`
	IsUpgrade   bool           `json:"isUpgrade"`
	SkipCRDs    bool           `json:"skipCRDs"`
	SkipTests   bool           `json:"skipTests"`
}

var templatePlace = regexp.MustCompile(`([^\s(:"']+/(?:templates|crds)/[^\s:()"']+):(\d+)`)

// helm renders a chart as `helm template` does: definitions first, then objects in the order of installation, then hooks.
func helm(j *job, options json.RawMessage) error {
	var o helmOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return err
	}
	c, err := loadChart(j.tree, o.Chart)
	if err != nil {
		return err
	}
	hooks, manifests, err := renderChart(j, c, o)
	if err != nil {
		return inTemplate(c, o.Chart, err)
	}
	if !o.SkipCRDs {
		for _, crd := range c.CRDObjects() {
			if err := j.emitText(placeOf(c, o.Chart, crd.Filename), crd.File.Data, false); err != nil {
				return err
			}
		}
	}
	for _, m := range manifests {
		if err := j.emitTemplate(placeOf(c, o.Chart, m.Name), m.Content); err != nil {
			return err
		}
	}
	for _, h := range hooks {
		if o.SkipTests && slices.Contains(h.Events, release.HookTest) {
			continue
		}
		if err := j.emitTemplate(placeOf(c, o.Chart, h.Path), h.Manifest); err != nil {
			return err
		}
	}
	return nil
}

// emitTemplate sends what a template made. Charts in use repeat keys, and Helm lets the last one win: so do we, and say so.
func (j *job) emitTemplate(name, text string) error {
	if _, err := decode([]byte(text), true); err != nil && strings.Contains(err.Error(), "already set in map") {
		fmt.Fprintf(bounded{j.warnings}, "%s: %s (the last one counts)\n", name, tidy(err.Error()))
	}
	return j.emitMade(name, []byte(text))
}

func renderChart(j *job, c *chart.Chart, o helmOptions) ([]*release.Hook, []releaseutil.Manifest, error) {
	if kind := c.Metadata.Type; kind != "" && kind != "application" {
		return nil, nil, fmt.Errorf("%s charts are not installable", kind)
	}
	if err := checkDependencies(c); err != nil {
		return nil, nil, err
	}
	if err := chartutil.ValidateReleaseName(o.Release); err != nil {
		return nil, nil, fmt.Errorf("release name %q: %w", o.Release, err)
	}
	values, err := mergeValues(j.tree, o)
	if err != nil {
		return nil, nil, err
	}
	if err := chartutil.ProcessDependencies(c, values); err != nil {
		return nil, nil, err
	}
	if err := checkSchemas(c); err != nil {
		return nil, nil, j.tree.refuse(err)
	}
	capabilities := common.DefaultCapabilities.Copy()
	if o.KubeVersion != "" {
		version, err := common.ParseKubeVersion(o.KubeVersion)
		if err != nil {
			return nil, nil, fmt.Errorf("kubeVersion %q: %w", o.KubeVersion, err)
		}
		capabilities.KubeVersion = *version
	}
	capabilities.APIVersions = append(slices.Clone(capabilities.APIVersions), o.APIVersions...)
	if wanted := c.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, capabilities.KubeVersion.String()) {
		return nil, nil, fmt.Errorf("the chart needs Kubernetes %s, and this is %s", wanted, capabilities.KubeVersion.Version)
	}
	about := common.ReleaseOptions{
		Name: o.Release, Namespace: o.Namespace, Revision: 1, IsInstall: !o.IsUpgrade, IsUpgrade: o.IsUpgrade,
	}
	top, err := util.ToRenderValues(c, values, about, capabilities)
	if err != nil {
		return nil, nil, err
	}
	files, err := engine.Engine{}.Render(c, top)
	if err != nil {
		return nil, nil, err
	}
	for name := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
	}
	return releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
}

func mergeValues(t *tree, o helmOptions) (map[string]any, error) {
	values := map[string]any{}
	for _, name := range o.ValuesFiles {
		text, err := t.file(name)
		if err != nil {
			return nil, missing(name, err, "values file")
		}
		more, err := loader.LoadValues(bytes.NewReader(text))
		if err != nil {
			return nil, placed(name, chunk{text, 0, 1}, err)
		}
		values = loader.MergeMaps(values, more)
	}
	return loader.MergeMaps(values, o.Values), nil
}

func missing(name string, err error, what string) error {
	if _, ours := err.(*failure); ours {
		return err
	}
	return invalid(name, "there is no %s %s in the repository", what, name)
}

func checkDependencies(c *chart.Chart) error {
	var lost []string
	for _, wanted := range c.Metadata.Dependencies {
		if !slices.ContainsFunc(c.Dependencies(), func(d *chart.Chart) bool { return d.Name() == wanted.Name }) {
			lost = append(lost, wanted.Name)
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("found in Chart.yaml, but missing in charts/ directory: %s; run `helm dependency build` and commit "+
			"what it puts there", strings.Join(lost, ", "))
	}
	return nil
}

// loadChart gathers a chart's files as Helm's directory loader does.
func loadChart(t *tree, root string) (*chart.Chart, error) {
	top, err := t.list(root)
	if err != nil {
		return nil, err
	}
	rules := ignore.Empty()
	if e := top.Entries[ignore.HelmIgnore]; e.Kind == "file" {
		text, err := t.bytes(path.Join(root, ignore.HelmIgnore), e)
		if err != nil {
			return nil, err
		}
		if rules, err = ignore.Parse(bytes.NewReader(text)); err != nil {
			return nil, invalid(path.Join(root, ignore.HelmIgnore), "%s", err)
		}
	}
	rules.AddDefaults()
	var files []*archive.BufferedFile
	if err := gather(t, root, "", rules, &files); err != nil {
		return nil, err
	}
	c, err := loader.LoadFiles(files)
	if err != nil {
		return nil, placed(path.Join(root, "Chart.yaml"), chunk{nil, 0, 1}, err)
	}
	return c, nil
}

func gather(t *tree, root, below string, rules *ignore.Rules, files *[]*archive.BufferedFile) error {
	f, err := t.open(path.Join(root, below))
	if err != nil {
		return err
	}
	names := make([]string, 0, len(f.Entries))
	for name := range f.Entries {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		at, e := path.Join(below, name), f.Entries[name]
		full := path.Join(root, at)
		if rules.Ignore(at, info{name: name, folder: e.Kind == "folder"}) {
			continue
		}
		if e.Kind == "folder" {
			if err := gather(t, root, at, rules, files); err != nil {
				return err
			}
			continue
		}
		if _, err := t.look(full); err != nil {
			return err
		}
		data, err := t.bytes(full, e)
		if err != nil {
			return err
		}
		*files = append(*files, &archive.BufferedFile{Name: at, Data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))})
	}
	return nil
}

// checkSchemas refuses references out of a values schema: the validator would open the file or the address they name.
func checkSchemas(c *chart.Chart) *failure {
	if c.Schema != nil {
		var schema any
		if json.Unmarshal(c.Schema, &schema) == nil {
			own := map[string]bool{}
			walk(schema, func(key, text string) {
				if key == "$id" {
					own[strings.TrimSuffix(text, "#")] = true
				}
			})
			var found string
			walk(schema, func(key, text string) {
				base, _, _ := strings.Cut(text, "#")
				official := strings.HasPrefix(text, "http://json-schema.org/") || strings.HasPrefix(text, "https://json-schema.org/")
				if (key == "$ref" || key == "$dynamicRef" || key == "$schema") && base != "" && !own[base] && !official {
					found = text
				}
			})
			if found != "" {
				return refused("values.schema.json", "the values schema of chart %s refers to %q, which is outside of it; "+
					"put the definitions into the schema itself", c.Name(), found)
			}
		}
	}
	for _, d := range c.Dependencies() {
		if f := checkSchemas(d); f != nil {
			return f
		}
	}
	return nil
}

func walk(value any, visit func(key, text string)) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			if text, isText := child.(string); isText {
				visit(key, text)
			}
			walk(child, visit)
		}
	case []any:
		for _, child := range v {
			walk(child, visit)
		}
	}
}

// placeOf turns Helm's name of a template, which begins with the chart's name, into its path in the repository.
func placeOf(c *chart.Chart, root, name string) string {
	return path.Join(root, strings.TrimPrefix(name, c.Name()+"/"))
}

func inTemplate(c *chart.Chart, root string, err error) error {
	if f, ours := err.(*failure); ours {
		return f
	}
	text := tidy(err.Error())
	f := invalid(root, "%s", text)
	if found := templatePlace.FindStringSubmatch(text); found != nil {
		f.Path = placeOf(c, root, found[1])
		f.Line, _ = strconv.Atoi(found[2])
	}
	return f
}

// info is as much of an os.FileInfo as the libraries look at.
type info struct {
	name   string
	folder bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return 0 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.folder }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
