package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	kjson "sigs.k8s.io/json"
)

type fieldOptions struct {
	Live        int             `json:"live"` // bytes of the live object in the frame; the other object follows
	Manager     string          `json:"manager"`
	Force       bool            `json:"force"`
	Subresource string          `json:"subresource"`
	Now         string          `json:"now"`    // RFC 3339, stamped on every entry that changes
	Reset       [][]string      `json:"reset"`  // fields that this request can not set, such as [["status"]]
	Schema      json.RawMessage `json:"schema"` // of a custom kind, with metadata spelled out
}

// fieldResult is the header of the answer: what became of the object, or the Status the API server would send.
type fieldResult struct {
	Changed bool `json:"changed"`
	Status  any  `json:"status,omitempty"`
}

var (
	builtinTypes managedfields.TypeConverter
	customTypes  = map[[sha256.Size]byte]managedfields.TypeConverter{}
)

func apply(j *job, options json.RawMessage) error  { return manage(j, options, true) }
func update(j *job, options json.RawMessage) error { return manage(j, options, false) }

// manage does what the API server does to an object's fields and their owners in one request.
func manage(j *job, options json.RawMessage, applying bool) error {
	var o fieldOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return err
	}
	if o.Live < 0 || o.Live > len(j.raw) {
		return errors.New("the frame is shorter than its objects")
	}
	given, err := readObject(j.raw[o.Live:])
	if err != nil {
		return err
	}
	live := &unstructured.Unstructured{Object: map[string]any{}}
	live.SetGroupVersionKind(given.GroupVersionKind())
	if o.Live > 0 {
		if live, err = readObject(j.raw[:o.Live]); err != nil {
			return err
		}
	}
	manager, err := fieldManager(given.GroupVersionKind(), o)
	if err != nil {
		return err
	}
	before := live.DeepCopy()
	var made runtime.Object
	if applying {
		made, err = manager.Apply(live, given, o.Manager, o.Force)
	} else {
		made, err = manager.Update(live, given, o.Manager)
	}
	if err != nil {
		var status apierrors.APIStatus
		if !errors.As(err, &status) {
			return err
		}
		s := status.Status()
		j.result = fieldResult{Status: s}
		return nil
	}
	after := made.(*unstructured.Unstructured)
	stamp(before, after, o.Now)
	j.result = fieldResult{Changed: !reflect.DeepEqual(before.Object, after.Object)}
	j.body, err = canonical(after.Object)
	return err
}

func readObject(text []byte) (*unstructured.Unstructured, error) {
	fields := map[string]any{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &fields); err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: fields}, nil
}

func fieldManager(kind schema.GroupVersionKind, o fieldOptions) (*managedfields.FieldManager, error) {
	types, isBuiltin, err := typesOf(kind, o.Schema)
	if err != nil {
		return nil, err
	}
	var reset map[fieldpath.APIVersion]fieldpath.Filter
	if len(o.Reset) > 0 {
		set := fieldpath.NewSet()
		for _, field := range o.Reset {
			parts := make([]any, len(field))
			for i, part := range field {
				parts[i] = part
			}
			set.Insert(fieldpath.MakePathOrDie(parts...))
		}
		reset = map[fieldpath.APIVersion]fieldpath.Filter{
			fieldpath.APIVersion(kind.GroupVersion().String()): fieldpath.NewExcludeSetFilter(set),
		}
	}
	make := managedfields.NewDefaultCRDFieldManager
	if isBuiltin {
		make = managedfields.NewDefaultFieldManager
	}
	return make(types, objects{}, objects{}, objects{}, kind, kind.GroupVersion(), o.Subresource, reset)
}

// typesOf answers how lists and maps of a kind merge: known for built-in kinds, told by a custom kind's schema, else
// deduced (every list is one value).
func typesOf(kind schema.GroupVersionKind, text json.RawMessage) (managedfields.TypeConverter, bool, error) {
	if len(text) == 0 || string(text) == "null" {
		if builtinTypes == nil {
			builtinTypes = applyconfigurations.NewTypeConverter(scheme.Scheme)
		}
		if empty, _ := (objects{}).New(kind); builtin(empty) {
			return builtinTypes, true, nil
		}
		return managedfields.NewDeducedTypeConverter(), false, nil
	}
	sum := sha256.Sum256(append([]byte(kind.String()+"\n"), text...))
	if types, known := customTypes[sum]; known {
		return types, false, nil
	}
	types, err := customType(kind, text)
	if err != nil {
		return nil, false, fmt.Errorf("the schema of %s can not be used: %w", kind, err)
	}
	if len(customTypes) > 500 {
		clear(customTypes)
	}
	customTypes[sum] = types
	return types, false, nil
}

func builtin(empty runtime.Object) bool {
	_, err := builtinTypes.ObjectToTyped(empty)
	return err == nil
}

func customType(kind schema.GroupVersionKind, text json.RawMessage) (managedfields.TypeConverter, error) {
	model := &spec.Schema{}
	if err := json.Unmarshal(text, model); err != nil {
		return nil, err
	}
	model.AddExtension("x-kubernetes-group-version-kind", []any{
		map[string]any{"group": kind.Group, "version": kind.Version, "kind": kind.Kind},
	})
	return managedfields.NewTypeConverter(map[string]*spec.Schema{"custom": model}, false)
}

// stamp puts the caller's time on the entries that this request has written (their own time is the machine's), and
// brings them into the API server's order again.
func stamp(before, after *unstructured.Unstructured, now string) {
	if now == "" {
		now = time.Now().UTC().Format(time.RFC3339)
	}
	old := map[string]bool{}
	for _, entry := range owners(before) {
		old[order(entry)] = true
	}
	entries := owners(after)
	for _, entry := range entries {
		if fields, isMap := entry.(map[string]any); isMap && !old[order(entry)] {
			fields["time"] = now
		}
	}
	slices.SortStableFunc(entries, func(a, b any) int { return strings.Compare(order(a), order(b)) })
	if len(entries) > 0 {
		_ = unstructured.SetNestedSlice(after.Object, entries, "metadata", "managedFields")
	}
}

func owners(object *unstructured.Unstructured) []any {
	entries, _, _ := unstructured.NestedSlice(object.Object, "metadata", "managedFields")
	return entries
}

func order(entry any) string {
	fields, _ := entry.(map[string]any)
	return fmt.Sprint(fields["operation"], "\n", fields["time"], "\n", fields["manager"], "\n", fields["apiVersion"], "\n", fields["subresource"])
}

// objects converts between versions of a kind by name alone (only one version of a kind is ever stored here), sets no
// defaults, and makes empty objects.
type objects struct{}

func (objects) Default(runtime.Object) {}

func (objects) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	made := &unstructured.Unstructured{Object: map[string]any{}}
	made.SetGroupVersionKind(kind)
	return made, nil
}

func (objects) Convert(in, out, _ any) error {
	return fmt.Errorf("a %T can not become a %T", in, out)
}

func (objects) ConvertToVersion(in runtime.Object, to runtime.GroupVersioner) (runtime.Object, error) {
	kind := in.GetObjectKind().GroupVersionKind()
	wanted, known := to.KindForGroupVersionKinds([]schema.GroupVersionKind{kind})
	if !known || wanted == kind {
		return in, nil
	}
	copied := in.DeepCopyObject()
	copied.GetObjectKind().SetGroupVersionKind(wanted)
	return copied, nil
}

func (objects) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}
