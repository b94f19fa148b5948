package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	yaml3 "go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const maxDepth = 200

// longestName is more than any server takes, so that most of what is too long is told in a server's words.
const longestName = 1000

var yamlLine = regexp.MustCompile(`line (\d+)`)

// object is the header of an object's frame.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name,omitempty"`
	Generate   string `json:"generateName,omitempty"`
	Path       string `json:"path,omitempty"`
	Document   int    `json:"document,omitempty"`
	Line       int    `json:"line,omitempty"`

	Annotations map[string]any `json:"annotations,omitempty"`
}

// chunk is the text of one YAML document and where it begins in its file, both counted from 1.
type chunk struct {
	text     []byte
	document int
	line     int
}

// split cuts a stream at its document markers. Doing it here, not in the parser, keeps line numbers, and no text after
// a marker can be lost as the parser stops after one document.
func split(data []byte) []chunk {
	var chunks []chunk
	start, line, first, document := 0, 1, 1, 1
	cut := func(end int) {
		text := data[start:end]
		if !blank(text) {
			chunks = append(chunks, chunk{text, document, first})
			document++
		}
	}
	for at := 0; at < len(data); line++ {
		end := len(data)
		if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		text := data[at:end]
		if marker(text, "---") || marker(text, "...") {
			cut(at)
			start, first = at+3, line
		}
		at = end
	}
	cut(len(data))
	return chunks
}

func marker(line []byte, mark string) bool {
	return bytes.HasPrefix(line, []byte(mark)) && (len(line) == 3 || strings.IndexByte(" \t\r\n", line[3]) >= 0)
}

// blank says whether nothing but comments, directives and space is there.
func blank(text []byte) bool {
	for _, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}

// decode reads one document as the API server would. JSON is tried first where it looks like JSON, since YAML reads
// some of its escapes differently; strict refuses duplicate keys.
func decode(text []byte, strict bool) ([]any, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		if values, err, isJSON := decodeJSON(trimmed, strict); isJSON {
			return values, err
		}
	}
	convert := yaml.YAMLToJSON
	if strict {
		convert = yaml.YAMLToJSONStrict
	}
	asJSON, err := convert(text)
	if err != nil && bytes.Contains(text, []byte("<<")) && strings.Contains(err.Error(), "already set in map") {
		// To the strict parser a key that overrides a merged one is a repeated key. Are there others?
		var node yaml3.Node
		if yaml3.Unmarshal(text, &node) == nil && !repeats(&node) {
			asJSON, err = yaml.YAMLToJSON(text)
		}
	}
	if err != nil {
		return nil, err
	}
	var value any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(asJSON, &value); err != nil {
		return nil, err
	}
	return []any{value}, nil
}

// repeats says whether a mapping below a node has the same key twice.
func repeats(node *yaml3.Node) bool {
	seen := map[string]bool{}
	for i, child := range node.Content {
		if isKey := node.Kind == yaml3.MappingNode && i%2 == 0; isKey {
			if seen[child.Value] {
				return true
			}
			seen[child.Value] = child.Kind == yaml3.ScalarNode
		}
		if repeats(child) {
			return true
		}
	}
	return false
}

func decodeJSON(text []byte, strict bool) (values []any, err error, isJSON bool) {
	stream := json.NewDecoder(bytes.NewReader(text))
	for {
		var raw json.RawMessage
		if err := stream.Decode(&raw); err == io.EOF {
			return values, nil, true
		} else if err != nil {
			return nil, nil, false
		}
		var value any
		doubts, err := kjson.UnmarshalStrict(raw, &value)
		if err == nil && strict && len(doubts) > 0 {
			err = doubts[0]
		}
		if err != nil {
			return nil, err, true
		}
		values = append(values, value)
	}
}

// emitText sends every object of a text. Errors name the document and the line in the file, unless a template has made
// the text: then its lines are nobody's.
func (j *job) emitText(name string, data []byte, strict, made bool) error {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return fail("invalid", name, "%s is not UTF-8 text", name)
	}
	for _, c := range split(data) {
		if made {
			c.line, c.document = 0, 0
		}
		values, err := decode(c.text, strict)
		if err != nil {
			return placed(name, c, err)
		}
		for _, value := range values {
			if value == nil {
				continue
			}
			if err := j.emit(value, object{Path: name, Document: c.document, Line: c.line}, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func placed(name string, c chunk, err error) *failure {
	text := tidy(err.Error())
	f := fail("invalid", name, "%s", text)
	f.Document, f.Line = c.document, c.line
	if found := yamlLine.FindStringSubmatchIndex(text); found != nil && c.line > 0 {
		n, _ := strconv.Atoi(text[found[2]:found[3]])
		f.Line = c.line + n - 1
		f.What = text[:found[2]] + strconv.Itoa(f.Line) + text[found[3]:]
	}
	return f
}

var noise = strings.NewReplacer(
	"error converting YAML to JSON: ", "", "error unmarshaling JSON: ", "", "while decoding JSON: ", "",
	"yaml: unmarshal errors:\n  ", "yaml: ", treeRoot+"/", "", treeRoot, "the repository's root",
)

func tidy(text string) string { return strings.TrimSpace(noise.Replace(text)) }

// emit sends one object, or each item of a list, as canonical JSON.
func (j *job) emit(value any, head object, depth int) error {
	wrong := func(format string, args ...any) error {
		f := fail("invalid", head.Path, format, args...)
		f.Document, f.Line = head.Document, head.Line
		return f
	}
	if deeper(value, maxDepth) {
		return wrong("the document is nested deeper than %d levels", maxDepth)
	}
	fields, isMap := value.(map[string]any)
	if !isMap {
		return wrong("a Kubernetes object is a mapping with apiVersion, kind and metadata, and this document is not")
	}
	head.APIVersion, _ = fields["apiVersion"].(string)
	head.Kind, _ = fields["kind"].(string)
	items, isList := fields["items"].([]any)
	if isList && strings.HasSuffix(head.Kind, "List") {
		return j.emitItems(items, head, depth)
	}
	if head.APIVersion == "" || head.Kind == "" {
		return wrong("the document is not a Kubernetes object: apiVersion and kind must be text")
	}
	fields, err := j.after.change(fields)
	if err != nil {
		return wrong("%s %s: %s", head.Kind, nameOf(value), err)
	}
	if fields == nil {
		return nil
	}
	head.APIVersion, _ = fields["apiVersion"].(string)
	head.Kind, _ = fields["kind"].(string)
	if why := identify(fields, &head); why != "" {
		return wrong("%s %s", head.Kind, why)
	}
	if file := j.keys.leaked(fields); file != "" {
		return wrong("%s %s shows a value of the encrypted file %s; only the data of a Secret may hold it", head.Kind, head.Name, file)
	}
	return j.send(fields, head)
}

func (j *job) emitItems(items []any, head object, depth int) error {
	if depth > 8 {
		return fail("invalid", head.Path, "lists stand in lists more than 8 levels deep")
	}
	for _, item := range items {
		if fields, isMap := item.(map[string]any); isMap && head.Kind != "List" {
			// The items of a typed list need not repeat their kind.
			if _, told := fields["kind"]; !told {
				fields["kind"] = strings.TrimSuffix(head.Kind, "List")
			}
			if _, told := fields["apiVersion"]; !told {
				fields["apiVersion"] = head.APIVersion
			}
		}
		if err := j.emit(item, object{Path: head.Path, Document: head.Document, Line: head.Line}, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// nameOf is an object's name for a message, if it has one that is text.
func nameOf(value any) string {
	fields, _ := value.(map[string]any)
	metadata, _ := fields["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return name
}

// identify fills in name and namespace, and answers what is wrong with them.
func identify(fields map[string]any, head *object) string {
	metadata, isMap := fields["metadata"].(map[string]any)
	if !isMap {
		return "has no metadata"
	}
	for key, to := range map[string]*string{"name": &head.Name, "namespace": &head.Namespace} {
		var isText bool
		if *to, isText = metadata[key].(string); !isText && metadata[key] != nil {
			return "has a metadata." + key + " that is not text; put it in quotes"
		}
	}
	if head.Generate, _ = metadata["generateName"].(string); head.Name == "" && head.Generate == "" {
		return "has no metadata.name"
	}
	for key, text := range map[string]string{
		"apiVersion": head.APIVersion, "kind": head.Kind, "namespace": head.Namespace, "name": head.Name + head.Generate,
	} {
		// They are kept in databases, shown and made into paths: what no server takes, none of those has to.
		if len(text) > longestName || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Sprintf("has a control character in its %s, or more than %d characters", key, longestName)
		}
	}
	head.Annotations, _ = metadata["annotations"].(map[string]any)
	for _, key := range []string{"labels", "annotations"} {
		pairs, isMap := metadata[key].(map[string]any)
		if !isMap && metadata[key] != nil {
			return "has metadata." + key + " that are not a mapping"
		}
		for name, value := range pairs {
			if _, isText := value.(string); !isText && value != nil {
				return "has the " + strings.TrimSuffix(key, "s") + " " + name + " whose value is not text; put it in quotes"
			}
		}
	}
	return ""
}

func (j *job) send(fields map[string]any, head object) error {
	body, err := canonical(fields)
	if err != nil {
		return fail("invalid", head.Path, "%s %s can not be written as JSON: %s", head.Kind, head.Name, err)
	}
	if len(body) > j.limits.Object {
		return fail("limit", head.Path, "%s %s is %d bytes, and an object may have %d", head.Kind, head.Name, len(body), j.limits.Object)
	}
	j.count++
	j.total += int64(len(body))
	if j.count > j.limits.Objects || j.total > j.limits.Total {
		return fail("limit", head.Path, "the result is larger than %d objects or %d bytes", j.limits.Objects, j.limits.Total)
	}
	return j.wire.write(j.id, frameObject, head, body)
}

func canonical(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

func deeper(value any, left int) bool {
	if left == 0 {
		return true
	}
	below := func(child any) bool { return deeper(child, left-1) }
	switch v := value.(type) {
	case map[string]any:
		for _, child := range v {
			if below(child) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, below)
	}
	return false
}

// plain sends the objects of the files that the parent selected, in its order; Jsonnet is run.
func plain(j *job, options json.RawMessage) error {
	var o struct {
		Folder  string         `json:"folder"`
		Files   []string       `json:"files"`
		Jsonnet jsonnetOptions `json:"jsonnet"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return err
	}
	if _, err := j.tree.list(o.Folder); err != nil { // which files there are is part of what was asked
		return err
	}
	for _, name := range o.Files {
		if strings.HasSuffix(name, ".jsonnet") {
			if err := j.evaluate(name, o.Jsonnet); err != nil {
				return err
			}
			continue
		}
		data, err := j.tree.file(name)
		if err != nil {
			return err
		}
		if err := j.emitText(name, data, true, false); err != nil {
			return err
		}
	}
	return nil
}
