package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// A SOPS file is a tree whose leaves are encrypted with one data key, which is itself encrypted for each recipient. The
// format is read here and the cryptography is the standard library's, age's and ProtonMail's: SOPS' own library brings
// the clients of every cloud along, programs that it starts and a network that a render may not have.

type sopsKey struct {
	Recipient   string `yaml:"recipient"`
	Fingerprint string `yaml:"fp"`
	Encrypted   string `yaml:"enc"`
}

type sopsMetadata struct {
	Age       []sopsKey `yaml:"age"`
	PGP       []sopsKey `yaml:"pgp"`
	Groups    []any     `yaml:"key_groups"`
	Modified  string    `yaml:"lastmodified"`
	MAC       string    `yaml:"mac"`
	OnlyMAC   bool      `yaml:"mac_only_encrypted"`
	NotSuffix string    `yaml:"unencrypted_suffix"`
	Suffix    string    `yaml:"encrypted_suffix"`
	NotRegex  string    `yaml:"unencrypted_regex"`
	Regex     string    `yaml:"encrypted_regex"`
	NotNote   string    `yaml:"unencrypted_comment_regex"`
	Note      string    `yaml:"encrypted_comment_regex"`
}

// sopsFile is one file on its way to clear text.
type sopsFile struct {
	about    sopsMetadata
	key      cipher.Block
	mac      hash.Hash
	not, yes *regexp.Regexp
	clear    []string // what was decrypted
}

var (
	sopsValue = regexp.MustCompile(`^ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]$`)
	sopsMark  = []byte("ENC[AES256_GCM,")
	// sopsOnly begins the MAC of a file whose clear values are left out of it: the SHA-256 of "sops".
	sopsOnly = sha256.Sum256([]byte("sops"))
)

// encrypted says whether a file looks like one that SOPS has written.
func encrypted(data []byte) bool {
	return bytes.Contains(data, sopsMark) && (bytes.Contains(data, []byte("sops:")) ||
		bytes.Contains(data, []byte(`"sops"`)) || bytes.Contains(data, []byte("\nsops_")))
}

// decrypt answers a file's clear text, once its MAC has shown that nobody changed it.
func (k *keys) decrypt(name string, data []byte) ([]byte, error) {
	text, clear, err := k.opened(name, data)
	if err != nil {
		return nil, fail("invalid", name, "%s can not be decrypted: %s", name, err)
	}
	for _, value := range clear {
		if len(value) >= leastGuarded {
			k.guarded[value] = name
		}
	}
	return text, nil
}

func (k *keys) opened(name string, data []byte) ([]byte, []string, error) {
	kind := path.Ext(name)
	if kind == ".env" {
		return k.openedLines(data)
	}
	documents, f, err := readSops(data)
	if err != nil {
		return nil, nil, err
	}
	if err := f.unlock(k); err != nil {
		return nil, nil, err
	}
	for _, document := range documents {
		if err := f.walk(document, nil); err != nil {
			return nil, nil, err
		}
	}
	if err := f.verify(); err != nil {
		return nil, nil, err
	}
	var text bytes.Buffer
	encoder := yaml3.NewEncoder(&text)
	for _, document := range documents {
		if err := encoder.Encode(document); err != nil {
			return nil, nil, err
		}
	}
	switch kind {
	case ".yaml", ".yml":
		return text.Bytes(), f.clear, nil
	case ".json":
		made, err := yaml.YAMLToJSON(text.Bytes())
		return made, f.clear, err
	}
	var whole struct {
		Data string `yaml:"data"`
	}
	err = yaml3.Unmarshal(text.Bytes(), &whole)
	return []byte(whole.Data), f.clear, err
}

// readSops takes the documents of a file apart: what is encrypted, and what is said of it.
func readSops(data []byte) ([]*yaml3.Node, *sopsFile, error) {
	var documents []*yaml3.Node
	f := &sopsFile{}
	told := false
	for decoder := yaml3.NewDecoder(bytes.NewReader(data)); ; {
		var document yaml3.Node
		if err := decoder.Decode(&document); err == io.EOF {
			break
		} else if err != nil {
			return nil, nil, err
		}
		if document.Kind != yaml3.DocumentNode || document.Content[0].Kind != yaml3.MappingNode {
			return nil, nil, errors.New("it is not a mapping")
		}
		root := document.Content[0]
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value != "sops" {
				continue
			}
			if err := root.Content[i+1].Decode(&f.about); err != nil {
				return nil, nil, err
			}
			told = true
			root.Content = append(root.Content[:i], root.Content[i+2:]...)
			break
		}
		documents = append(documents, root)
	}
	if !told {
		return nil, nil, errors.New("it has no sops section")
	}
	return documents, f, nil
}

// unlock finds the data key, and makes ready what says which values it is for.
func (f *sopsFile) unlock(k *keys) error {
	if len(f.about.Groups) > 1 {
		return errors.New("its key is split among groups, which is not supported")
	}
	if f.about.Note != "" || f.about.NotNote != "" {
		return errors.New("comments say what is encrypted in it, which is not supported")
	}
	secret, err := k.dataKey(f.about)
	if err != nil {
		return err
	}
	if f.key, err = aes.NewCipher(secret); err != nil {
		return err
	}
	for text, into := range map[string]**regexp.Regexp{f.about.NotRegex: &f.not, f.about.Regex: &f.yes} {
		if text == "" {
			continue
		}
		if *into, err = regexp.Compile(text); err != nil {
			return err
		}
	}
	f.mac = sha512.New()
	if f.about.OnlyMAC {
		f.mac.Write(sopsOnly[:])
	}
	return nil
}

func (f *sopsFile) walk(node *yaml3.Node, at []string) error {
	switch node.Kind {
	case yaml3.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if err := f.walk(node.Content[i+1], append(at[:len(at):len(at)], node.Content[i].Value)); err != nil {
				return err
			}
		}
	case yaml3.SequenceNode:
		for _, item := range node.Content {
			if err := f.walk(item, at); err != nil {
				return err
			}
		}
	case yaml3.ScalarNode:
		if node.Tag == "!!null" {
			return nil
		}
		return f.leaf(node, at)
	default:
		return errors.New("an encrypted file has no aliases")
	}
	return nil
}

func (f *sopsFile) leaf(node *yaml3.Node, at []string) error {
	secret := f.covers(at)
	if secret {
		if err := f.open(node, at); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(at, "."), err)
		}
	}
	if secret || !f.about.OnlyMAC {
		text, err := macked(node)
		if err != nil {
			return err
		}
		f.mac.Write([]byte(text))
	}
	return nil
}

// covers says whether what is at a path is encrypted, as SOPS decides it.
func (f *sopsFile) covers(at []string) bool {
	any := func(fits func(string) bool) bool {
		for _, part := range at {
			if fits(part) {
				return true
			}
		}
		return false
	}
	covered := true
	if suffix := f.about.NotSuffix; suffix != "" {
		covered = !any(func(part string) bool { return strings.HasSuffix(part, suffix) })
	}
	if suffix := f.about.Suffix; suffix != "" {
		covered = any(func(part string) bool { return strings.HasSuffix(part, suffix) })
	}
	if f.not != nil && any(f.not.MatchString) {
		covered = false
	}
	if f.yes != nil {
		covered = any(f.yes.MatchString)
	}
	return covered
}

func (f *sopsFile) open(node *yaml3.Node, at []string) error {
	if node.Value == "" {
		return nil
	}
	text, kind, err := f.value(node.Value, strings.Join(at, ":")+":")
	if err != nil {
		return err
	}
	tags := map[string]string{"str": "!!str", "bytes": "!!str", "int": "!!int", "float": "!!float", "bool": "!!bool", "time": "!!timestamp"}
	tag, known := tags[kind]
	if !known {
		return fmt.Errorf("it is of the unknown type %q", kind)
	}
	node.Tag, node.Value, node.Style = tag, text, 0
	if tag == "!!str" {
		node.Style = yaml3.DoubleQuotedStyle
	}
	if kind == "bool" {
		node.Value = strings.ToLower(text)
	}
	f.clear = append(f.clear, text)
	return nil
}

// value answers one encrypted value and its type; `bound` is what it is authenticated together with.
func (f *sopsFile) value(text, bound string) (string, string, error) {
	parts := sopsValue.FindStringSubmatch(text)
	if parts == nil {
		return "", "", errors.New("it should be encrypted, and is not")
	}
	var raw [3][]byte
	for i := range raw {
		var err error
		if raw[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil {
			return "", "", err
		}
	}
	if len(raw[1]) == 0 || len(raw[2]) != 16 {
		return "", "", errors.New("it is cut short")
	}
	gcm, err := cipher.NewGCMWithNonceSize(f.key, len(raw[1]))
	if err != nil {
		return "", "", err
	}
	opened, err := gcm.Open(nil, raw[1], append(raw[0], raw[2]...), []byte(bound))
	if err != nil {
		return "", "", errors.New("the value was changed, or moved here from elsewhere")
	}
	return string(opened), parts[4], nil
}

// macked is a clear value as it goes into the MAC.
func macked(node *yaml3.Node) (string, error) {
	switch node.Tag {
	case "!!bool":
		return map[bool]string{true: "True", false: "False"}[strings.EqualFold(node.Value, "true")], nil
	case "!!int":
		var n int
		err := node.Decode(&n)
		return strconv.Itoa(n), err
	case "!!float":
		var n float64
		err := node.Decode(&n)
		return strconv.FormatFloat(n, 'f', -1, 64), err
	case "!!timestamp":
		var at time.Time
		if err := node.Decode(&at); err != nil {
			return "", err
		}
		text, err := at.MarshalText()
		return string(text), err
	}
	return node.Value, nil
}

// verify holds the file to its MAC.
func (f *sopsFile) verify() error {
	at, err := time.Parse(time.RFC3339, f.about.Modified)
	if err != nil || f.about.MAC == "" {
		return errors.New("it has no MAC, so nobody knows whether it was changed")
	}
	told, _, err := f.value(f.about.MAC, at.Format(time.RFC3339))
	if err != nil || told != fmt.Sprintf("%X", f.mac.Sum(nil)) {
		return errors.New("its MAC does not fit: it was changed after it was encrypted; use `sops` to edit it")
	}
	return nil
}
