package main

import (
	"fmt"
	"strings"
)

// longest bounds what is said of a failure, in bytes: a template may fail with gigabytes of words.
const longest = 4000

// failure is the only error that reaches the parent. Code is one of
//
//	invalid  the input is wrong
//	refused  the input asks for what a render may not do
//	limit    the input or its result is too large
//	bug      this program, or a library in it, has failed
type failure struct {
	Code     string `json:"code"`
	What     string `json:"what"`
	Path     string `json:"path,omitempty"`
	Line     int    `json:"line,omitempty"`
	Document int    `json:"document,omitempty"`
}

func (f *failure) Error() string { return f.What }

func short(text string) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + " …"
}

func fail(code, path, format string, args ...any) *failure {
	return &failure{Code: code, What: fmt.Sprintf(format, args...), Path: path}
}
