package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"filippo.io/age"
	agearmor "filippo.io/age/armor"
	"github.com/ProtonMail/go-crypto/openpgp"
	pgparmor "github.com/ProtonMail/go-crypto/openpgp/armor"
	yaml3 "go.yaml.in/yaml/v3"
)

// leastGuarded is the length from which a decrypted value is looked for where it must not be. Shorter ones are words and
// numbers that occur anywhere.
const leastGuarded = 8

// keys opens encrypted files. They live as long as one request, and reach nothing but this.
type keys struct {
	age     []age.Identity
	pgp     openpgp.EntityList
	guarded map[string]string // what was decrypted → the file it is from
}

type namedKey struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func readKeys(given []namedKey) (*keys, error) {
	if given == nil {
		return nil, nil
	}
	k := &keys{guarded: map[string]string{}}
	for _, key := range given {
		if strings.Contains(key.Value, "BEGIN PGP PRIVATE KEY") {
			ring, err := openpgp.ReadArmoredKeyRing(strings.NewReader(key.Value))
			if err != nil {
				return nil, fail("invalid", "", "the secret %s is no PGP key that can be read", key.Name)
			}
			k.pgp = append(k.pgp, ring...)
			continue
		}
		found, err := age.ParseIdentities(strings.NewReader(key.Value))
		if err != nil {
			return nil, fail("invalid", "", "the secret %s holds neither age identities nor a PGP private key", key.Name)
		}
		k.age = append(k.age, found...)
	}
	return k, nil
}

// dataKey answers the key of a file, by the first recipient whose key is at hand.
func (k *keys) dataKey(about sopsMetadata) ([]byte, error) {
	var wanted []string
	for _, recipient := range about.Age {
		wanted = append(wanted, recipient.Recipient)
		if len(k.age) == 0 {
			continue
		}
		if opened, err := age.Decrypt(agearmor.NewReader(strings.NewReader(recipient.Encrypted)), k.age...); err == nil {
			return io.ReadAll(io.LimitReader(opened, 64))
		}
	}
	for _, recipient := range about.PGP {
		wanted = append(wanted, "PGP "+recipient.Fingerprint)
		if secret, err := k.openPGP(recipient.Encrypted); err == nil {
			return secret, nil
		}
	}
	if wanted == nil {
		return nil, errors.New("it is encrypted for no age or PGP key, and other kinds of keys are not supported")
	}
	return nil, fmt.Errorf("it is encrypted for %s, and none of the unit's keys opens that", strings.Join(wanted, ", "))
}

func (k *keys) openPGP(text string) ([]byte, error) {
	if len(k.pgp) == 0 {
		return nil, errors.New("there is no key")
	}
	block, err := pgparmor.Decode(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	message, err := openpgp.ReadMessage(block.Body, k.pgp, nil, nil)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(message.UnverifiedBody, 64))
}

var sopsListed = regexp.MustCompile(`^sops_(age|pgp)__list_(\d{1,3})__map_(recipient|fp|enc)$`)

// openedLines decrypts a file of NAME=value lines, whose sops section is flattened into such lines too.
func (k *keys) openedLines(data []byte) ([]byte, []string, error) {
	f := &sopsFile{}
	var names []string
	nodes, told := map[string]*yaml3.Node{}, map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		name, value, found := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case !found:
			return nil, nil, errors.New("a line is not NAME=value")
		case strings.HasPrefix(name, "sops_"):
			told[name] = strings.ReplaceAll(value, `\n`, "\n")
		default:
			names = append(names, name)
			nodes[name] = &yaml3.Node{Kind: yaml3.ScalarNode, Tag: "!!str", Value: strings.ReplaceAll(value, `\n`, "\n")}
		}
	}
	f.about.fromLines(told)
	if err := f.unlock(k); err != nil {
		return nil, nil, err
	}
	var text strings.Builder
	for _, name := range names {
		if err := f.leaf(nodes[name], []string{name}); err != nil {
			return nil, nil, err
		}
		fmt.Fprintf(&text, "%s=%s\n", name, strings.ReplaceAll(nodes[name].Value, "\n", `\n`))
	}
	return []byte(text.String()), f.clear, f.verify()
}

func (m *sopsMetadata) fromLines(told map[string]string) {
	m.Modified, m.MAC = told["sops_lastmodified"], told["sops_mac"]
	m.OnlyMAC, _ = strconv.ParseBool(told["sops_mac_only_encrypted"])
	m.NotSuffix, m.Suffix = told["sops_unencrypted_suffix"], told["sops_encrypted_suffix"]
	m.NotRegex, m.Regex = told["sops_unencrypted_regex"], told["sops_encrypted_regex"]
	listed := make([]string, 0, len(told))
	for name := range told {
		listed = append(listed, name)
	}
	sort.Strings(listed)
	byPlace := map[string]*sopsKey{}
	var order []string
	for _, name := range listed {
		found := sopsListed.FindStringSubmatch(name)
		if found == nil {
			continue
		}
		place := found[1] + found[2]
		if byPlace[place] == nil {
			byPlace[place] = &sopsKey{}
			order = append(order, place)
		}
		switch found[3] {
		case "recipient":
			byPlace[place].Recipient = told[name]
		case "fp":
			byPlace[place].Fingerprint = told[name]
		default:
			byPlace[place].Encrypted = told[name]
		}
	}
	for _, place := range order {
		if strings.HasPrefix(place, "age") {
			m.Age = append(m.Age, *byPlace[place])
		} else {
			m.PGP = append(m.PGP, *byPlace[place])
		}
	}
}

// mask takes decrypted values out of a message: what a chart says of its values goes to people.
func (k *keys) mask(text string) string {
	if k == nil {
		return text
	}
	for secret := range k.guarded {
		text = strings.ReplaceAll(text, secret, "++++++++")
	}
	return text
}

// leaked answers the encrypted file of which an object shows a value where people see it: anywhere but in a Secret's data.
func (k *keys) leaked(fields map[string]any) string {
	if k == nil || len(k.guarded) == 0 {
		return ""
	}
	seen := fields
	if fields["kind"] == "Secret" && fields["apiVersion"] == "v1" {
		seen = map[string]any{"metadata": fields["metadata"], "type": fields["type"]}
	}
	return k.within(seen)
}

func (k *keys) within(value any) string {
	switch value := value.(type) {
	case string:
		for secret, file := range k.guarded {
			if strings.Contains(value, secret) {
				return file
			}
		}
	case []any:
		if at := slices.IndexFunc(value, func(item any) bool { return k.within(item) != "" }); at >= 0 {
			return k.within(value[at])
		}
	case map[string]any:
		for key, item := range value {
			if file := k.within(key) + k.within(item); file != "" {
				return file
			}
		}
	}
	return ""
}
