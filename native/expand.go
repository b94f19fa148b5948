package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// expander reads one text with `${…}` in it, as the shell does and Flux after it: defaults, pieces, lengths, cases and
// replacements. `$$` is a dollar sign.
type expander struct {
	*variables
	text   string
	at     int
	depth  int
	secret bool   // a secret went into the result
	name   string // which
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)

// longestMatched bounds values that are matched with patterns, which costs their length squared.
const longestMatched = 4096

// whole answers the text with everything filled in: a value with its type where the text is one expression.
func (e *expander) whole() (any, error) {
	if strings.HasPrefix(e.text, "${") {
		value, err := e.expression()
		if err != nil || e.at == len(e.text) {
			return value, err
		}
		e.at = 0
	}
	return e.until("")
}

// until answers the text up to one of the stops, or its end.
func (e *expander) until(stops string) (string, error) {
	var made strings.Builder
	for e.at < len(e.text) {
		c, rest := e.text[e.at], e.text[e.at+1:]
		switch {
		case strings.IndexByte(stops, c) >= 0:
			return made.String(), nil
		case c == '\\' && stops != "" && rest != "":
			made.WriteByte(rest[0])
			e.at += 2
		case c == '$' && strings.HasPrefix(rest, "$"):
			made.WriteByte('$')
			e.at += 2
		case c == '$' && strings.HasPrefix(rest, "{"):
			value, err := e.expression()
			if err != nil {
				return "", err
			}
			made.WriteString(written(value))
		default:
			made.WriteByte(c)
			e.at++
		}
		if made.Len() > e.limit {
			return "", errors.New("the text grows larger than an object may be")
		}
	}
	return made.String(), nil
}

// expression answers the value of the `${…}` that begins here, and goes past it.
func (e *expander) expression() (any, error) {
	start := e.at
	if e.depth++; e.depth > 20 {
		return nil, errors.New("expressions stand in expressions more than 20 deep")
	}
	defer func() { e.depth-- }()
	e.at += 2
	length := strings.HasPrefix(e.text[e.at:], "#")
	if length {
		e.at++
	}
	name := variableName.FindString(e.text[e.at:])
	e.at += len(name)
	operator := e.operator()
	if name == "" || operator == "?" || (length && operator != "") {
		return nil, e.wrong(start, "is no expression that is known")
	}
	arguments, err := e.arguments(operator)
	if err != nil {
		return nil, err
	}
	if e.at >= len(e.text) {
		return nil, e.wrong(start, "has no closing brace")
	}
	e.at++ // the brace
	value, err := e.apply(name, operator, arguments, e.text[start:e.at])
	if err == nil && length {
		value = int64(utf8.RuneCountInString(written(value)))
	}
	return value, err
}

func (e *expander) wrong(start int, why string) error {
	text := e.text[start:min(len(e.text), start+40)]
	return fmt.Errorf("%q %s; write $${ for a brace that is meant as it stands", text, why)
}

// operator reads what is to be done with the variable: "" for nothing, "?" for what is not known.
func (e *expander) operator() string {
	for _, known := range []string{
		":=", ":-", "=", "-", ":", "^^", "^", ",,", ",", "##", "#", "%%", "%", "//", "/#", "/%", "/",
	} {
		if strings.HasPrefix(e.text[e.at:], known) {
			e.at += len(known)
			return known
		}
	}
	if strings.HasPrefix(e.text[e.at:], "}") || e.at == len(e.text) {
		return ""
	}
	return "?"
}

func (e *expander) arguments(operator string) ([]string, error) {
	stops := "}"
	switch operator[:min(1, len(operator))] {
	case "":
		return nil, nil
	case "/":
		stops = "/}"
	}
	if operator == ":" {
		stops = ":}"
	}
	var found []string
	for {
		text, err := e.until(stops)
		if err != nil {
			return nil, err
		}
		found = append(found, text)
		if e.at >= len(e.text) || e.text[e.at] == '}' {
			return found, nil
		}
		e.at++
	}
}

func (e *expander) apply(name, operator string, arguments []string, source string) (any, error) {
	value, known := e.Values[name]
	if text, secret := e.Secrets[name]; secret {
		value, known, e.secret, e.name = text, true, true, name
	}
	switch operator {
	case ":=", ":-", "=", "-":
		if !known || value == "" {
			return typed(arguments[0]), nil
		}
		return value, nil
	}
	if !known {
		switch e.Unknown {
		case "empty":
			value = ""
		case "keep":
			return source, nil
		default:
			return nil, fmt.Errorf("there is no variable %s; declare it, give a default, or write $${%s}", name, name)
		}
	}
	if operator == "" {
		return value, nil
	}
	return changed(written(value), operator, arguments)
}

// changed is a value after an operator that makes another text of it.
func changed(text, operator string, arguments []string) (string, error) {
	first, second := arguments[0], ""
	if len(arguments) > 1 {
		second = arguments[1]
	}
	switch operator {
	case "^^":
		return strings.ToUpper(text), nil
	case ",,":
		return strings.ToLower(text), nil
	case "^", ",":
		return firstLetter(text, operator == "^"), nil
	case ":":
		return piece(text, first, arguments[1:])
	case "//":
		return strings.ReplaceAll(text, first, second), nil
	case "/":
		return strings.Replace(text, first, second, 1), nil
	case "/#":
		if rest, found := strings.CutPrefix(text, first); found {
			return second + rest, nil
		}
		return text, nil
	case "/%":
		if rest, found := strings.CutSuffix(text, first); found {
			return rest + second, nil
		}
		return text, nil
	}
	return trimmed(text, operator, first)
}

func firstLetter(text string, upper bool) string {
	letter, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return text
	}
	if upper {
		return string(unicode.ToUpper(letter)) + text[size:]
	}
	return string(unicode.ToLower(letter)) + text[size:]
}

// piece is what begins at a position, counted from the end when it is negative, and is so long.
func piece(text, position string, length []string) (string, error) {
	runes := []rune(text)
	from, err := strconv.Atoi(strings.TrimSpace(position))
	if err != nil {
		return "", fmt.Errorf("a position is a number, not %q", position)
	}
	if from < 0 {
		from += len(runes)
	}
	from = max(0, min(from, len(runes)))
	to := len(runes)
	if len(length) > 0 {
		n, err := strconv.Atoi(strings.TrimSpace(length[0]))
		if err != nil {
			return "", fmt.Errorf("a length is a number, not %q", length[0])
		}
		if n >= 0 {
			to = min(to, from+min(n, to))
		} else {
			to = max(from, to+n)
		}
	}
	return string(runes[from:to]), nil
}

// trimmed is a text without the shortest (#, %) or longest (##, %%) beginning or end that a pattern matches.
func trimmed(text, operator, pattern string) (string, error) {
	if len(text) > longestMatched || len(pattern) > longestMatched {
		return "", fmt.Errorf("a pattern is for values of at most %d bytes", longestMatched)
	}
	quoted := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	whole, err := regexp.Compile(`(?s)\A(?:` + quoted + `)\z`)
	if err != nil {
		return "", err
	}
	matches := func(cut int) (string, bool) {
		if operator[0] == '#' {
			return text[cut:], whole.MatchString(text[:cut])
		}
		return text[:len(text)-cut], whole.MatchString(text[len(text)-cut:])
	}
	for i := range len(text) + 1 {
		cut := i
		if len(operator) == 2 {
			cut = len(text) - i
		}
		if rest, found := matches(cut); found {
			return rest, nil
		}
	}
	return text, nil
}
