# SPDX-License-Identifier: Apache-2.0
"""Every error code that our sources can raise, read from the sources themselves.

A code is the literal first argument of one of our error classes. The few places that pass a code on are listed
here: what they pass must be readable too, or the listing fails.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from node import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("node", "contracts", "consortium", "cli")
CLASSES = ("InvalidInput", "AccessDenied", "NotFound", "Conflict", "Verification", "Unavailable", "Fatal")

# Functions that raise with a code they are given: at which place they take it.
FORWARDERS = {"_check_hashes": 0, "require_text": 1}
# Codes put together from parts: source text of the argument → what it can be.
COMPOSED = {
    "f'chain-{status.state}'": {"chain-away", "chain-wrong-chain", "chain-empty", "chain-behind"},
    "f'status-{name}'": {"status-withdrawn", "status-suspended", "status-repaired"},
}
# Codes that only HTTP answers carry, with their status.
HTTP_ONLY = {
    "body-size": 413,
    "connections": 503,
    "fault": 500,
    "http-400": 400,
    "http-404": 404,
    "http-405": 405,
    "http-414": 414,
    "http-431": 431,
    "http-501": 501,
    "request-shape": 400,
    "request-slow": 408,
}
# Raised again with the code of another error, read above where that one is made.
_PASSED_ON = {"code", "error.code", "fatal.code", "str(state['code'])", "*msgpack.unpackb(body)"}


def sources() -> list[Path]:
    """Our Python sources, tests excluded."""
    return [
        path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not {"node_modules", ".venv"} & set(path.parts)
    ]


@cache
def find_codes() -> dict[str, set[str]]:
    """Map every code to the names of the classes it is raised with; ``report`` for steps of a verification."""
    trees = {path: ast.parse(path.read_text()) for path in sources()}
    bases = _error_classes(trees.values())
    found: dict[str, set[str]] = {}
    for path, tree in trees.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = _name(call.func)
            if name in FORWARDERS and len(call.args) > FORWARDERS[name]:
                codes, base = _codes(call.args[FORWARDERS[name]], path, call.lineno), "InvalidInput"
                base = "Verification" if name == "_check_hashes" else base
            elif name in bases and call.args:
                codes, base = _codes(call.args[0], path, call.lineno), bases[name]
            elif name == "NotChecked":
                given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
                codes, base = {code for each in given for code in _codes(each, path, call.lineno)}, "report"
            else:
                continue
            for code in codes:
                found.setdefault(code, set()).add(base)
    return found


def statuses() -> dict[str, int]:
    """HTTP status of each class."""
    return {name: getattr(errors, name).status for name in CLASSES}


def _codes(argument: ast.expr, path: Path, line: int) -> set[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return {argument.value}
    if isinstance(argument, ast.IfExp):
        return _codes(argument.body, path, line) | _codes(argument.orelse, path, line)
    text = ast.unparse(argument)
    if text in COMPOSED:
        return COMPOSED[text]
    if text in _PASSED_ON:
        return set()
    raise AssertionError(f"{path.relative_to(ROOT)}:{line}: cannot read the error code {text}")


def _error_classes(trees: object) -> dict[str, str]:
    """Map our error classes and their subclasses to the class that gives the HTTP status."""
    known = {name: name for name in CLASSES}
    known["Refuted"] = "report"
    definitions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    size = 0
    while size != len(known):
        size = len(known)
        for definition in definitions:
            for base in map(_name, definition.bases):
                if base in known:
                    known.setdefault(definition.name, known[base])
    return known


def _name(expression: ast.expr) -> str | None:
    if isinstance(expression, ast.Name):
        return expression.id
    return expression.attr if isinstance(expression, ast.Attribute) else None
