package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	"helm.sh/helm/v4/pkg/strvals"
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
	SkipSchema  bool           `json:"skipSchema"`

	IgnoreMissing  bool            `json:"ignoreMissing"` // values files that are not there
	Parameters     []helmParameter `json:"parameters"`
	FileParameters []helmParameter `json:"fileParameters"` // values are paths from the root
}

type helmParameter struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	String bool   `json:"string"`
}

// commas escapes those that no backslash stands before.
var commas = strings.NewReplacer(`\\`, `\\`, `\,`, `\,`, `,`, `\,`)

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
			if err := j.emitText(placeOf(c, o.Chart, crd.Filename), crd.File.Data, false, false); err != nil {
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
	return j.emitText(name, []byte(text), false, true)
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
	if !o.SkipSchema {
		if err := checkSchemas(c); err != nil {
			return nil, nil, j.tree.refuse(err)
		}
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
	top, err := util.ToRenderValuesWithSchemaValidation(c, values, about, capabilities, o.SkipSchema)
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
	var names []string
	for _, pattern := range o.ValuesFiles {
		found, err := glob(t, pattern)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 && !o.IgnoreMissing {
			return nil, fail("invalid", o.Chart, "there is no values file %s in the repository", pattern)
		}
		names = append(names, found...)
	}
	for _, name := range names {
		text, err := t.file(name)
		if errors.Is(err, fs.ErrNotExist) && o.IgnoreMissing {
			continue
		} else if errors.Is(err, fs.ErrNotExist) {
			return nil, fail("invalid", name, "there is no values file %s in the repository", name)
		} else if err != nil {
			return nil, err
		}
		more, err := loader.LoadValues(bytes.NewReader(text))
		if err != nil {
			return nil, placed(name, chunk{text, 0, 1}, err)
		}
		values = loader.MergeMaps(values, more)
	}
	values = loader.MergeMaps(values, o.Values)
	return values, setParameters(t, o, values)
}

// setParameters lays single values over the others as the command line's --set, --set-string and --set-file do. A comma
// belongs to the value unless the value is a list in braces, as Argo CD writes them.
func setParameters(t *tree, o helmOptions, values map[string]any) error {
	for _, p := range o.Parameters {
		text := p.Value
		if !strings.HasPrefix(text, "{") || !strings.HasSuffix(text, "}") {
			text = commas.Replace(text)
		}
		set := strvals.ParseInto
		if p.String {
			set = strvals.ParseIntoString
		}
		if err := set(p.Name+"="+text, values); err != nil {
			return fail("invalid", o.Chart, "the parameter %s: %s", p.Name, err)
		}
	}
	for _, p := range o.FileParameters {
		text, err := t.file(p.Value)
		if errors.Is(err, fs.ErrNotExist) {
			return fail("invalid", p.Value, "there is no file %s in the repository, which the parameter %s asks for", p.Value, p.Name)
		} else if err != nil {
			return err
		}
		read := func([]rune) (any, error) { return string(text), nil }
		if err := strvals.ParseIntoFile(p.Name+"=file", values, read); err != nil {
			return fail("invalid", o.Chart, "the parameter %s: %s", p.Name, err)
		}
	}
	return nil
}

func checkDependencies(c *chart.Chart) error {
	var lost []string
	for _, wanted := range c.Metadata.Dependencies {
		if !slices.ContainsFunc(c.Dependencies(), func(d *chart.Chart) bool { return d.Name() == wanted.Name }) {
			lost = append(lost, wanted.Name)
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("found in Chart.yaml, but missing in charts/ directory: %s; let the declaration's "+
			"source.allow name where they are, or run `helm dependency build` and commit what it puts there", strings.Join(lost, ", "))
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
			return nil, fail("invalid", path.Join(root, ignore.HelmIgnore), "%s", err)
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
	for _, name := range slices.Sorted(maps.Keys(f.Entries)) {
		at, e := path.Join(below, name), f.Entries[name]
		full, about := path.Join(root, at), tar.Header{Name: name}
		if e.Kind == "folder" {
			about.Typeflag = tar.TypeDir
		}
		if rules.Ignore(at, about.FileInfo()) {
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

var reference = regexp.MustCompile(`"\$(ref|dynamicRef|schema|id)":"([^"#]+)`)

// checkSchemas refuses references out of a values schema: the validator would open the file or the address they name.
func checkSchemas(c *chart.Chart) *failure {
	var schema any
	_ = json.Unmarshal(c.Schema, &schema) // the validator says what is wrong with it
	text, _ := canonical(schema)          // one way to write each reference
	known := map[string]bool{}
	for _, id := range reference.FindAllSubmatch(text, -1) {
		known[string(id[2])] = known[string(id[2])] || string(id[1]) == "id"
	}
	for to, inside := range known {
		if !inside && !strings.HasPrefix(to, "http://json-schema.org/") && !strings.HasPrefix(to, "https://json-schema.org/") {
			return fail("refused", "values.schema.json", "the values schema of chart %s refers to %q, which is outside of it; "+
				"put the definitions into the schema itself", c.Name(), to)
		}
	}
	for _, d := range c.Dependencies() {
		if f := checkSchemas(d); f != nil {
			return f
		}
	}
	return nil
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
	f := fail("invalid", root, "%s", text)
	if found := templatePlace.FindStringSubmatch(text); found != nil {
		f.Path = placeOf(c, root, found[1])
		f.Line, _ = strconv.Atoi(found[2])
	}
	return f
}
