"""Rules of Ingresses and of their classes."""

from __future__ import annotations

from ipaddress import ip_address

from kedge.sandbox.naming import SUBDOMAIN, TOLD
from kedge.sandbox.problems import Cause, required, unsupported, wrong
from kedge.sandbox.wire import Object

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
NOWHERE = ("//", "/./", "/../", "%2f", "%2F")
NO_END = ("/..", "/.")


def ingress(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    if not spec.get("rules") and not spec.get("defaultBackend"):
        causes.append(wrong("spec", {}, "either `defaultBackend` or `rules` must be specified"))
    if spec.get("defaultBackend"):
        causes += _backend(spec["defaultBackend"], "spec.defaultBackend")
    for at, rule in enumerate(spec.get("rules") or ()):
        where = f"spec.rules[{at}]"
        causes += _host(rule.get("host") or "", f"{where}.host")
        for index, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            causes += _path(path, f"{where}.http.paths[{index}]")
    return causes


def _host(host: str, where: str) -> list[Cause]:
    if not host:
        return []
    causes = [wrong(where, host, "must be a DNS name, not an IP address")] if _is_address(host) else []
    if "*" in host:
        if not host.startswith("*.") or not SUBDOMAIN.fullmatch(host[2:]):
            causes.append(wrong(where, host, f"a wildcard {TOLD[SUBDOMAIN]}"))
    elif len(host) > 253 or not SUBDOMAIN.fullmatch(host):
        causes.append(wrong(where, host, TOLD[SUBDOMAIN]))
    return causes


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _path(path: Object, where: str) -> list[Cause]:
    kind, text = path.get("pathType"), path.get("path") or ""
    if not kind:
        return [required(f"{where}.pathType", "pathType must be specified")]
    causes: list[Cause] = []
    if kind not in PATH_TYPES:
        causes.append(unsupported(f"{where}.pathType", kind, PATH_TYPES))
    elif not text.startswith("/") and (text or kind != "ImplementationSpecific"):
        causes.append(wrong(f"{where}.path", text, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        causes += [wrong(f"{where}.path", text, f"must not contain '{part}'") for part in NOWHERE if part in text]
        causes += [wrong(f"{where}.path", text, f"cannot end with '{end}'") for end in NO_END if text.endswith(end)]
    return causes + _backend(path.get("backend") or {}, f"{where}.backend")


def _backend(backend: Object, where: str) -> list[Cause]:
    service = backend.get("service")
    if service is None and backend.get("resource") is None:
        return [wrong(where, "", "resource or service backend is required")]
    if service is None:
        return []
    if backend.get("resource") is not None:
        return [wrong(where, "", "cannot set both resource and service backends")]
    causes = [] if service.get("name") else [required(f"{where}.service.name")]
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        causes.append(wrong(where, "", "cannot set both port name & port number"))
    elif not port.get("name") and not port.get("number"):
        causes.append(required(where, "port name or number is required"))
    return causes


def ingress_class(obj: Object) -> list[Cause]:
    controller = (obj.get("spec") or {}).get("controller") or ""
    prefix, slash, rest = controller.partition("/")
    if not controller:
        return [required("spec.controller")]
    if not slash or not prefix or not rest:
        told = 'must be a domain-prefixed path (such as "acme.io/foo")'
        return [wrong("spec.controller", controller, told)]
    return []
