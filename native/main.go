// The native worker: Helm, Kustomize, Jsonnet, Kubernetes' own YAML and server-side apply's field management, as one program
// that is spoken to in frames over stdin and stdout. It decides nothing, opens nothing and connects to nothing: what
// it needs of a repository it asks its parent for.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime/debug"

	"k8s.io/klog/v2"
)

type limits struct {
	Object  int   `json:"object"`  // bytes of one object
	Total   int64 `json:"total"`   // bytes of all objects
	Objects int   `json:"objects"` // how many objects
	File    int   `json:"file"`    // bytes of one file that is read
	Read    int64 `json:"read"`    // bytes of all files that are read
}

type request struct {
	Op      string             `json:"op"`
	Options json.RawMessage    `json:"options"`
	After   *after             `json:"after"`
	Keys    []namedKey         `json:"keys"` // of encrypted files
	Limits  limits             `json:"limits"`
	Folders map[string]*folder `json:"folders"`
	Blobs   []struct {
		ID   string `json:"id"`
		Size int    `json:"size"`
	} `json:"blobs"`
}

// served is the header of the last frame of a request, whether it succeeded or not.
type served struct {
	Count    int               `json:"count"`
	Reads    map[string]*entry `json:"reads,omitempty"`
	Evicted  []string          `json:"evicted,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
	Error    *failure          `json:"error,omitempty"`
	Result   any               `json:"result,omitempty"`
}

// job is one request in progress.
type job struct {
	wire     *wire
	id       uint32
	limits   limits
	tree     *tree
	frames   <-chan frame
	raw      []byte
	after    *after
	keys     *keys
	count    int
	total    int64
	result   any
	body     []byte
	warnings *bytes.Buffer
}

func main() {
	debug.SetMaxStack(256 << 20)
	warnings := &bytes.Buffer{}
	log.SetOutput(bounded{warnings})
	log.SetFlags(0)
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	http.DefaultTransport = noNetwork{}
	confined := confine()

	w := &wire{in: bufio.NewReaderSize(os.Stdin, 1<<16), out: bufio.NewWriterSize(os.Stdout, 1<<16)}
	if w.write(0, frameHello, map[string]any{"versions": versions(), "confined": confined}, nil) != nil {
		os.Exit(1)
	}
	frames := make(chan frame)
	go func() { // owns stdin: a parent that is gone ends us even in the middle of a loop that a template made
		for {
			f, err := w.read()
			if err != nil {
				os.Exit(0)
			}
			frames <- f
		}
	}()
	blobs := newBlobs(64 << 20)
	for f := range frames {
		serve(w, f, frames, blobs, warnings)
	}
}

func serve(w *wire, f frame, frames <-chan frame, blobs *blobs, warnings *bytes.Buffer) {
	warnings.Reset()
	j := &job{wire: w, id: f.request, frames: frames, warnings: warnings}
	var r request
	err := json.Unmarshal(f.header, &r)
	if f.kind != frameRequest || err != nil {
		os.Exit(2) // the two halves do not speak the same language
	}
	j.limits, j.tree = r.Limits, newTree(j, r.Folders, blobs)
	j.raw = f.raw
	for _, b := range r.Blobs {
		if b.Size < 0 || b.Size > len(j.raw) {
			os.Exit(2)
		}
		blobs.put(b.ID, j.raw[:b.Size])
		j.raw = j.raw[b.Size:]
	}
	failed := j.run(r)
	end := served{Count: j.count, Reads: j.tree.reads, Evicted: blobs.takeEvicted(), Result: j.result}
	for _, line := range bytes.Split(bytes.TrimSpace(warnings.Bytes()), []byte("\n")) {
		if len(line) > 0 {
			end.Warnings = append(end.Warnings, j.keys.mask(string(line)))
		}
	}
	kind := frameDone
	if failed != nil {
		failed.What = short(j.keys.mask(failed.What)) // in this order: half a secret would not be known again
		end.Error, kind, j.body = failed, frameError, nil
	}
	if w.write(f.request, kind, end, j.body) != nil {
		os.Exit(1)
	}
}

// run does the work and turns whatever goes wrong into a failure; a refusal stands even if a library went on past it.
func (j *job) run(r request) (failed *failure) {
	defer func() {
		if cause := recover(); cause != nil {
			failed = &failure{Code: "bug", What: fmt.Sprintf("the renderer failed on this input: %v", cause)}
		}
		if j.tree.refusal != nil {
			failed = j.tree.refusal
		}
	}()
	ops := map[string]func(*job, json.RawMessage) error{
		"plain": plain, "kustomize": kustomize, "helm": helm, "stack": stack, "apply": apply, "update": update,
	}
	op, known := ops[r.Op]
	if !known {
		return &failure{Code: "bug", What: fmt.Sprintf("no operation is named %q", r.Op)}
	}
	var err error
	if j.keys, err = readKeys(r.Keys); err == nil {
		err = j.begin(r.After)
	}
	if err == nil {
		err = op(j, r.Options)
	}
	if err == nil {
		j.end()
		return nil
	}
	if errors.As(err, &failed) {
		return failed
	}
	return fail("invalid", "", "%s", tidy(err.Error()))
}

// ask puts one question to the parent and waits for its answer.
func (j *job) ask(what, path string) (answer, []byte) {
	if j.wire.write(j.id, frameAsk, map[string]string{"ask": what, "path": path}, nil) != nil {
		os.Exit(1)
	}
	f := <-j.frames
	var a answer
	if f.kind != frameAnswer || f.request != j.id || json.Unmarshal(f.header, &a) != nil {
		os.Exit(2)
	}
	return a, f.raw
}

// bounded keeps the first warnings of a library and drops the flood.
type bounded struct{ to *bytes.Buffer }

func (b bounded) Write(text []byte) (int, error) {
	if b.to.Len()+len(text) < 8<<10 {
		b.to.Write(text)
	}
	return len(text), nil
}

// noNetwork is the transport of every HTTP client that a library makes.
type noNetwork struct{}

func (noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fail("refused", "", "%s: a render may not reach the network; keep a copy of it in the repository", r.URL.Redacted())
}

// versions answers the libraries' versions, as built in.
func versions() map[string]string {
	found := map[string]string{
		"helm.sh/helm/v4": "", "sigs.k8s.io/kustomize/api": "", "sigs.k8s.io/yaml": "", "k8s.io/apimachinery": "", "k8s.io/client-go": "",
		"github.com/google/go-jsonnet": "", "github.com/hashicorp/hcl/v2": "",
	}
	built, _ := debug.ReadBuildInfo()
	for _, module := range built.Deps {
		if _, wanted := found[module.Path]; wanted {
			found[module.Path] = module.Version
		}
	}
	return found
}
