package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// What the code reads as terraform.workspace. Where Kedge keeps the state, every unit has one of its own and the tools' http
// backend knows no workspace but the default one: the declared name is put in the place of each mention, so that the code is
// told the same as with a backend that has workspaces. Lines stay where they are.

// mention is where a file of the bundle says terraform.workspace, in bytes.
type mention struct{ from, to int }

// named puts the workspace's name into the files of the bundle that are code.
func (s *gathered) named(workspace string) error {
	for n, file := range s.bundle {
		if !s.codes[file.Path] {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(file.Text)
		if err != nil {
			return err
		}
		rename := inCode
		if strings.HasSuffix(file.Path, ".json") {
			rename = inJSON
		}
		s.bundle[n].Text = base64.StdEncoding.EncodeToString(rename(text, file.Path, workspace))
	}
	return nil
}

func inCode(text []byte, name, workspace string) []byte {
	file, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
	if problems.HasErrors() {
		return text
	}
	return replaced(text, file.Body.(*hclsyntax.Body), workspace)
}

// inJSON looks into every text of a file, for each may be a template.
func inJSON(text []byte, name, workspace string) []byte {
	var made bytes.Buffer
	read, from := json.NewDecoder(bytes.NewReader(text)), 0
	for {
		begin := int(read.InputOffset())
		token, err := read.Token()
		if err != nil {
			break
		}
		found, is := token.(string)
		if !is || !strings.Contains(found, "workspace") {
			continue
		}
		expression, problems := hclsyntax.ParseTemplate([]byte(found), name, hcl.InitialPos)
		if problems.HasErrors() {
			continue
		}
		if other := replaced([]byte(found), expression, workspace); string(other) != found {
			quoted, err := json.Marshal(string(other))
			if err != nil {
				continue
			}
			begin += bytes.IndexByte(text[begin:], '"')
			made.Write(text[from:begin])
			made.Write(quoted)
			from = int(read.InputOffset())
		}
	}
	made.Write(text[from:])
	return made.Bytes()
}

func replaced(text []byte, node hclsyntax.Node, workspace string) []byte {
	var found []mention
	_ = hclsyntax.VisitAll(node, func(node hclsyntax.Node) hcl.Diagnostics {
		expression, is := node.(*hclsyntax.ScopeTraversalExpr)
		if !is || len(expression.Traversal) < 2 {
			return nil
		}
		step, is := expression.Traversal[1].(hcl.TraverseAttr)
		root := expression.Traversal.RootName()
		if is && step.Name == "workspace" && (root == "terraform" || root == "tofu") {
			found = append(found, mention{expression.Traversal[0].SourceRange().Start.Byte, step.SrcRange.End.Byte})
		}
		return nil
	})
	slices.SortFunc(found, func(a, b mention) int { return b.from - a.from })
	for _, one := range found {
		text = slices.Concat(text[:one.from], []byte(`"`+workspace+`"`), text[one.to:])
	}
	return text
}
