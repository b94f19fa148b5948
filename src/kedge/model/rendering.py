"""How a unit's files become manifests, as it is declared: one section for each renderer, and what comes afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class DirectorySection:
    """Plain manifests, as Argo CD's directory source: globs are relative to the source path."""

    recurse: Annotated[bool, "Also read the folders below."] = False
    include: Annotated[str, "Only files that this glob matches, or one of `{a,b}`."] = ""
    exclude: Annotated[str, "No files that this glob matches, or one of `{a,b}`; wins over `include`."] = ""


@dataclass(frozen=True, slots=True)
class PatchTarget:
    """Which objects a patch is for. Every field is a regular expression that matches the whole word; empty matches all.

    The selectors are written as Kubernetes writes them: `app=web,tier!=db`."""

    group: Annotated[str, "API group."] = ""
    version: Annotated[str, "API version."] = ""
    kind: Annotated[str, "Kind."] = ""
    name: Annotated[str, "Name of the object."] = ""
    namespace: Annotated[str, "Its namespace; an object that names none is in the target's."] = ""
    labelSelector: Annotated[str, "Selector over its labels."] = ""
    annotationSelector: Annotated[str, "Selector over its annotations."] = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch as Kustomize's: a piece of an object that is merged into it, or a list of operations (JSON 6902).

    Either `patch` or `path` holds it. Operations need a target; a piece without one names its object itself."""

    patch: Annotated[str, "The patch, as YAML text."] = ""
    path: Annotated[str, "A file that holds it, from `source.path`."] = ""
    target: PatchTarget | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """Another name, tag or digest for every image of a name."""

    name: Annotated[str, "Name of the image as the manifests write it, without tag."] = ""
    newName: Annotated[str, "Name in its place."] = ""
    newTag: Annotated[str, "Tag in place of its tag."] = ""
    digest: Annotated[str, "Digest in place of its tag."] = ""


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many replicas the workloads of a name have."""

    name: Annotated[str, "Name of the workload."] = ""
    count: Annotated[int, "Its replicas."] = 1


@dataclass(frozen=True, slots=True)
class KustomizeSection:
    """Kustomize overlay at the source path. What is set here is laid over it, as by an overlay of its own."""

    namePrefix: Annotated[str, "Prefix of all names, also where they are referred to."] = ""
    nameSuffix: Annotated[str, "Suffix of all names."] = ""
    namespace: Annotated[str, "Namespace of all objects, also where another is written."] = ""
    images: Annotated[tuple[Image, ...], "Other names, tags or digests of images."] = ()
    replicas: Annotated[tuple[Replicas, ...], "Other numbers of replicas."] = ()
    components: Annotated[tuple[str, ...], "Folders of components, from `source.path`."] = ()
    ignoreMissingComponents: Annotated[bool, "Pass over components that are not there."] = False
    patches: Annotated[tuple[Patch, ...], "Patches that are laid over the overlay's objects."] = ()
    commonLabels: Annotated[dict[str, str], "Labels of all objects."] = field(default_factory=dict)
    commonAnnotations: Annotated[dict[str, str], "Annotations of all objects."] = field(default_factory=dict)
    includeSelectors: Annotated[
        bool, "Whether `commonLabels` go into selectors, which can not be changed once an object lives."
    ] = False
    includeTemplates: Annotated[bool, "Whether `commonLabels` go into the templates of Pods."] = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of a chart, as `helm --set`: the path to it, and what it is."""

    name: Annotated[str, "Path of the value: `image.tag`, `hosts[0]`."] = ""
    value: Annotated[str, "The value; `{a,b}` is a list."] = ""
    forceString: Annotated[bool, "Take it for a text even where it looks like a number or a truth value."] = False


@dataclass(frozen=True, slots=True)
class FileParameter:
    """One value of a chart that is a file's text, as `helm --set-file`."""

    name: Annotated[str, "Path of the value."] = ""
    path: Annotated[str, "The file, from `source.path`."] = ""


@dataclass(frozen=True, slots=True)
class HelmSection:
    """A chart at the source path. `values` win over `valuesFiles`, later files over earlier ones; `parameters` win over
    both, and `fileParameters` over all."""

    releaseName: Annotated[str, "The release's name; by default the unit's."] = ""
    valuesFiles: Annotated[
        tuple[str, ...], "Values files, from `source.path`, or patterns (`env/*.yaml`); later ones win."
    ] = ()
    ignoreMissingValuesFiles: Annotated[bool, "Pass over values files that are not there."] = False
    values: Annotated[dict[str, Any], "Values, which win over all files."] = field(default_factory=dict)
    parameters: Annotated[tuple[Parameter, ...], "Single values, which win over `values`."] = ()
    fileParameters: Annotated[tuple[FileParameter, ...], "Single values that are the text of a file."] = ()
    namespace: Annotated[str, "What the chart sees as `.Release.Namespace`; by default the target's."] = ""
    kubeVersion: Annotated[str, "What the chart sees as `.Capabilities.KubeVersion`."] = ""
    apiVersions: Annotated[
        tuple[str, ...], "What the chart sees in `.Capabilities.APIVersions`, beside the built-in ones."
    ] = ()
    includeCRDs: Annotated[bool, "Whether what is in the chart's `crds` folder belongs to the set."] = True
    skipTests: Annotated[bool, "Leave out the chart's test hooks."] = True
    skipSchemaValidation: Annotated[bool, "Do not hold the values to the chart's `values.schema.json`."] = False


@dataclass(frozen=True, slots=True)
class JsonnetSection:
    """What the `*.jsonnet` files of the folder see: `extVars` by `std.extVar`, `tlas` as arguments of the function that
    a file is. Values keep their types: a text is a text, a mapping an object."""

    extVars: Annotated[dict[str, Any], "External variables."] = field(default_factory=dict)
    extCode: Annotated[dict[str, str], "External variables, each a Jsonnet expression."] = field(default_factory=dict)
    tlas: Annotated[dict[str, Any], "Top-level arguments."] = field(default_factory=dict)
    tlaCode: Annotated[dict[str, str], "Top-level arguments, each a Jsonnet expression."] = field(default_factory=dict)
    libs: Annotated[
        tuple[str, ...], "Folders that imports are looked for in, from the repository's root; the last one first."
    ] = ()


class Unknown(StrEnum):
    """What becomes of a variable that nobody declares and that has no default."""

    FAIL = "fail"
    EMPTY = "empty"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class SubstituteSection:
    """Values in place of `${name}` in the texts of whatever was rendered. A text that is `${name}` and nothing else
    takes the value with its type."""

    variables: Annotated[dict[str, Any], "Texts, numbers and truth values."] = field(default_factory=dict)
    secrets: Annotated[
        dict[str, str], "Variables whose value is a secret of the store, by its name; for the `stringData` of Secrets."
    ] = field(default_factory=dict)
    unknown: Annotated[Unknown, "What becomes of a variable that is not declared and has no default."] = Unknown.FAIL


@dataclass(frozen=True, slots=True)
class DecryptSection:
    """Files that SOPS has encrypted are opened as they are read: manifests, values files, what Kustomize makes secrets
    of. What was encrypted may only come to stand in the data of Secrets."""

    keys: Annotated[
        tuple[str, ...], "Secrets of the store that hold age identities, or a PGP private key without passphrase."
    ] = ()
