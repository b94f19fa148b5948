package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
)

// stack gathers what OpenTofu or Terraform needs of a repository: the stack's folder and those of the modules that it
// calls by a path, whole. It parses their files to find these, and says what in them a judge wants to know. Nothing is
// evaluated.
func stack(j *job, options json.RawMessage) error {
	var o struct {
		Folder string          `json:"folder"`
		Name   string          `json:"name"`
		Spec   json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return err
	}
	var spec struct {
		Tool          string   `json:"tool"`
		VariableFiles []string `json:"variableFiles"`
		Workspace     string   `json:"workspace"`
	}
	if err := json.Unmarshal(o.Spec, &spec); err != nil {
		return err
	}
	s := &gathered{tree: j.tree, tofu: spec.Tool == "opentofu", parser: hclparse.NewParser(), files: map[string]bool{}, codes: map[string]bool{}, modules: map[string]bool{}}
	if err := s.module(o.Folder); err != nil {
		return err
	}
	for _, given := range spec.VariableFiles {
		if err := s.variables(o.Folder, given); err != nil {
			return err
		}
	}
	if s.parsed == 0 {
		return fail("invalid", o.Folder, "there is no file in %q that %s reads", o.Folder, spec.Tool)
	}
	if spec.Workspace != "" && s.facts.Backend == "" {
		if err := s.named(spec.Workspace); err != nil {
			return err
		}
	}
	body := map[string]any{
		"apiVersion": "kedge.dev/v1alpha1", "kind": "Stack", "metadata": map[string]any{"name": o.Name},
		"spec": o.Spec, "folder": o.Folder, "files": s.bundle, "facts": s.facts,
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return j.emitText(o.Folder, text, true, true)
}

// facts are what the code says of itself, for those who judge whether it may run. Names are in order of files.
type facts struct {
	Backend      string   `json:"backend,omitempty"` // the kind of backend that the code declares, or "cloud"; a local file is none
	Remote       []called `json:"remote,omitempty"`  // modules that are not a path
	Data         []string `json:"data,omitempty"`    // types of data sources
	Provisioners []called `json:"provisioners,omitempty"`
	Variables    []string `json:"variables,omitempty"` // of the stack's own folder
	Outputs      []string `json:"outputs,omitempty"`
	Locked       bool     `json:"locked"` // whether a lock file of providers is there
}

type called struct {
	Source string `json:"source"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

type bundled struct {
	Path string `json:"path"`
	Text string `json:"text"` // base64
}

type gathered struct {
	tree    *tree
	tofu    bool
	parser  *hclparse.Parser
	files   map[string]bool
	codes   map[string]bool // files that the tool reads as its code
	modules map[string]bool
	bundle  []bundled
	facts   facts
	parsed  int
}

// module gathers a folder and the modules that its own files call; folders below it come along, for what they hold may
// be read by name.
func (s *gathered) module(name string) error {
	if s.modules[name] {
		return nil
	}
	first := len(s.modules) == 0
	s.modules[name] = true
	if err := s.folder(name); err != nil {
		return err
	}
	held, err := s.tree.list(name)
	if err != nil {
		return err
	}
	var calls []string
	for _, base := range sorted(held.Entries) {
		if held.Entries[base].Kind == "file" && s.isCode(base, held.Entries) {
			found, err := s.code(path.Join(name, base), first)
			if err != nil {
				return err
			}
			calls = append(calls, found...)
		}
	}
	if first {
		s.facts.Locked = held.Entries[".terraform.lock.hcl"].Kind == "file"
	}
	for _, call := range calls {
		below, err := s.tree.inside(name, call)
		if err != nil {
			return err
		}
		if err := s.module(below); err != nil {
			return err
		}
	}
	return nil
}

// folder puts a folder's files into the bundle. What the tools write themselves is left out, whoever committed it, and so
// are tests: init would fetch the modules that they call.
func (s *gathered) folder(name string) error {
	held, err := s.tree.list(name)
	if err != nil {
		return err
	}
	for _, base := range sorted(held.Entries) {
		place := path.Join(name, base)
		switch held.Entries[base].Kind {
		case "folder":
			if base != ".terraform" && base != ".git" {
				if err := s.folder(place); err != nil {
					return err
				}
			}
		default:
			if hasSuffix(base, unwanted) {
				continue
			}
			if err := s.add(place); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *gathered) add(name string) error {
	if s.files[name] {
		return nil
	}
	data, err := s.tree.file(name)
	if err != nil {
		return err
	}
	s.files[name] = true
	s.bundle = append(s.bundle, bundled{name, base64.StdEncoding.EncodeToString(data)})
	return nil
}

// variables puts a file of variables into the bundle, which may be elsewhere in the repository and nowhere else: the tool
// would read any file of the machine, and quote it in what it says of it.
func (s *gathered) variables(folder, given string) error {
	name, err := s.tree.inside(folder, given)
	if err != nil {
		return err
	}
	if err := s.add(name); errors.Is(err, fs.ErrNotExist) {
		return fail("invalid", name, "there is no such file of variables")
	} else if err != nil {
		return err
	}
	return nil
}

var unwanted = []string{
	".tfstate", ".tfstate.backup", ".tftest.hcl", ".tftest.json", ".tofutest.hcl", ".tofutest.json", ".tfmock.hcl", ".tfquery.hcl",
}

func hasSuffix(base string, suffixes []string) bool {
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(base, s) })
}

// isCode says whether the tool reads a file: hidden ones are nobody's, Terraform knows no .tofu, and OpenTofu leaves a .tf
// alone beside the .tofu of the same name. A backend in a file that is not read would be one that nobody uses.
func (s *gathered) isCode(base string, beside map[string]entry) bool {
	if strings.HasPrefix(base, ".") {
		return false
	}
	if hasSuffix(base, []string{".tofu", ".tofu.json"}) {
		return s.tofu
	}
	if !hasSuffix(base, []string{".tf", ".tf.json"}) {
		return false
	}
	plain := strings.TrimSuffix(base, ".json")
	taken := strings.TrimSuffix(plain, ".tf") + ".tofu" + strings.TrimPrefix(base, plain)
	return !s.tofu || beside[taken].Kind != "file"
}

var fileSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "terraform"}, {Type: "module", LabelNames: []string{"name"}}, {Type: "variable", LabelNames: []string{"name"}},
	{Type: "output", LabelNames: []string{"name"}}, {Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "resource", LabelNames: []string{"type", "name"}}, {Type: "removed"}, {Type: "check", LabelNames: []string{"name"}},
}}

// code reads one file, and answers the paths of the modules that it calls.
func (s *gathered) code(name string, own bool) ([]string, error) {
	data, err := s.tree.file(name)
	if err != nil {
		return nil, err
	}
	parse := s.parser.ParseHCL
	if strings.HasSuffix(name, ".json") {
		parse = s.parser.ParseJSON
	}
	file, problems := parse(data, name)
	if problems.HasErrors() {
		return nil, said(name, problems)
	}
	content, _, problems := file.Body.PartialContent(fileSchema)
	if problems.HasErrors() {
		return nil, said(name, problems)
	}
	s.parsed++
	s.codes[name] = true
	var calls []string
	for _, block := range content.Blocks {
		switch block.Type {
		case "terraform":
			s.settings(block, own)
		case "module":
			source := literal(block.Body, "source")
			if strings.HasPrefix(source, "./") || strings.HasPrefix(source, "../") {
				calls = append(calls, source)
			} else if source != "" {
				s.facts.Remote = append(s.facts.Remote, called{source, name, block.DefRange.Start.Line})
			}
		case "data":
			s.facts.Data = append(s.facts.Data, block.Labels[0])
		case "check":
			content, _, _ := block.Body.PartialContent(fileSchema)
			for _, inner := range content.Blocks.OfType("data") {
				s.facts.Data = append(s.facts.Data, inner.Labels[0])
			}
		case "resource", "removed":
			s.provisioners(name, block)
		case "variable":
			if own {
				s.facts.Variables = append(s.facts.Variables, block.Labels[0])
			}
		case "output":
			if own {
				s.facts.Outputs = append(s.facts.Outputs, block.Labels[0])
			}
		}
	}
	return calls, nil
}

// settings looks for a backend, which only the stack's own folder decides. A local file is none: an execution's folder is
// thrown away, and the state would be with it.
func (s *gathered) settings(block *hcl.Block, own bool) {
	schema := &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "backend", LabelNames: []string{"type"}}, {Type: "cloud"}}}
	content, _, _ := block.Body.PartialContent(schema)
	for _, inner := range content.Blocks {
		if own && inner.Type == "cloud" {
			s.facts.Backend = "cloud"
		} else if own && inner.Labels[0] != "local" {
			s.facts.Backend = inner.Labels[0]
		}
	}
}

func (s *gathered) provisioners(name string, block *hcl.Block) {
	schema := &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provisioner", LabelNames: []string{"type"}}}}
	content, _, _ := block.Body.PartialContent(schema)
	for _, inner := range content.Blocks {
		s.facts.Provisioners = append(s.facts.Provisioners, called{inner.Labels[0], name, inner.DefRange.Start.Line})
	}
}

// literal answers a text that is written as such; a source may be nothing else in Terraform, and what OpenTofu computes
// for it is not known here.
func literal(body hcl.Body, name string) string {
	content, _, _ := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: name}}})
	attribute := content.Attributes[name]
	if attribute == nil {
		return ""
	}
	value, problems := attribute.Expr.Value(nil)
	if problems.HasErrors() || value.Type() != cty.String || value.IsNull() || !value.IsKnown() {
		return "(computed)"
	}
	return value.AsString()
}

func said(name string, problems hcl.Diagnostics) error {
	for _, problem := range problems {
		if problem.Severity == hcl.DiagError {
			f := fail("invalid", name, "%s", tidy(strings.TrimSuffix(problem.Summary+": "+problem.Detail, ": ")))
			if problem.Subject != nil {
				f.Line = problem.Subject.Start.Line
			}
			return f
		}
	}
	return errors.New("the file can not be read")
}

func sorted(entries map[string]entry) []string {
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
