# SPDX-License-Identifier: Apache-2.0
"""Builds docs/api.md from the application's own OpenAPI description and the roles its routes demand."""

from __future__ import annotations

from typing import Any

from node.api.app import build_app

HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- The tables are written by `make docs` from the application; a test compares. -->
# HTTP API 节点接口

The running node serves its full OpenAPI description at `/openapi.json`. The `ironcage` commands that
talk to the node use this API and nothing else, so whatever they do a program can do too. These do not talk to it: `ironcage init`,
`ironcage node run`, `ironcage token`, `ironcage evidence verify`, `ironcage policy show`, `ironcage log fsck`, and those of
`ironcage chain` and `ironcage member`, which work on files or ask the chain. `ironcage policy export` asks both node and chain.

节点在 `/openapi.json` 提供完整的 OpenAPI 描述；与节点通信的 `ironcage` 命令只用这些接口。上列其他命令只读写本机文件或询问链；
`policy export` 同时询问节点与链。

* The node speaks plain HTTP on loopback, and on other addresses HTTPS or behind a proxy that does ([configuration.md](configuration.md#https)).
* `Authorization: Bearer ict_…` where a role is named below. An administrator may do everything.
* Look-ups are POST, so that no identifier of a person or a document stands in the access line of a proxy. A record is named
  by its leaf hash: 64 hex digits, which say nothing about its content.
* `show` and `evidence` open a record. The look is durable in the access log before anything is decrypted; if the log cannot take
  it, nothing is shown. The answer carries the receipt of the look.
* Errors are `application/problem+json` with a stable code ([errors.md](errors.md)). `Accept-Language: en` gives English titles and rules.
  Status 503 means: try again, after the seconds in `Retry-After`.
* Every answer carries `X-Request-Id`: the caller's, if it sent one of 8 to 64 letters, digits, `.`, `_` and `-`, else one that the node made. The node's
  log names calls by it. Answers are not to be cached, except where `Cache-Control` says so, nor to be used by other web pages: there is no CORS.
* Limits: head of a request 32 KiB and 100 headers (431), path 2 KiB and query 4 KiB (414), body 1 MiB, of an upload `max_upload_bytes` (413). A body has
  to come within `request_timeout_seconds` for each 64 KiB (408). Paths have one spelling, without `%`.
* HTTP/1.1 and 1.0, read strictly: a request with both a length and chunks is refused, and so is any other transfer coding than chunked.
* Paths under `/log` are [C2SP tlog-tiles](https://c2sp.org/tlog-tiles). Tiles hold hashes and are open to
  all, like the entries of the records log; entries of the access log are for auditors.

"""

EXAMPLES = """
## Examples

```
TOKEN=$(cat keys/operator.token); URL=http://127.0.0.1:8620

# import a file, then ask how it goes
curl -s -H "Authorization: Bearer $TOKEN" -F item=penalty:2018 -F file=@penalties.xlsx $URL/api/v1/imports
curl -s -H "Authorization: Bearer $TOKEN" $URL/api/v1/imports/$JOB

# one evidence file with four fields disclosed
curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{"disclose": ["CF_XDR_MC", "CF_WSH", "CF_JDRQ", "CF_CFJG"], "purpose": "tender"}' $URL/api/v1/records/$LEAF/evidence

# is it there, does it take work?
curl -s $URL/healthz; curl -s $URL/readyz
```
"""


def build() -> str:
    """Build the page."""
    app = build_app(None, None, language="zh", max_upload_bytes=1, version="0")  # type: ignore[arg-type]
    described = app.openapi()
    parts = [HEAD]
    for tag, title in TAGS.items():
        lines = [
            _route(path, method, operation)
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
            if operation["tags"] == [tag]
        ]
        parts.append(f"## {title}\n\n| call | who | what |\n|---|---|---|\n{''.join(lines)}\n")
    parts.append("## Bodies and answers\n")
    parts.extend(_schema(name, schema) for name, schema in sorted(described["components"]["schemas"].items()))
    return "".join(parts) + EXAMPLES


TAGS = {
    "imports": "Imports 导入",
    "records": "Records 记录",
    "exchange": "Exchange 跨部门查询",
    "anchors": "Anchors 上链",
    "node": "Node 节点",
    "log": "Logs 日志",
    "health": "Health 运行状态",
}


def _route(path: str, method: str, operation: dict[str, Any]) -> str:
    roles = ", ".join(operation["x-roles"] or ["all"])
    text = " ".join(operation["description"].split())
    return f"| `{method.upper()} {path}` | {roles} | {text} |\n"


def _schema(name: str, schema: dict[str, Any]) -> str:
    if name in {"HTTPValidationError", "ValidationError"}:
        return ""
    required = schema.get("required", [])
    lines = []
    for member, form in schema.get("properties", {}).items():
        what = " ".join(form.get("description", "").split())
        default = "" if member in required or "default" not in form else f" Default: `{form['default']}`."
        lines.append(f"| `{member}` | {_type(form)} | {what}{default} |\n")
    text = " ".join(schema.get("description", "").split())
    if name.startswith("Body_order_import"):
        name, text = "ImportForm", "The form fields of an upload (`multipart/form-data`)."
    return f"\n### {name}\n\n{text}\n\n| member | type | meaning |\n|---|---|---|\n{''.join(lines)}"


def _type(form: dict[str, Any]) -> str:
    if "$ref" in form:
        return f"[{form['$ref'].rsplit('/', 1)[1]}](#{form['$ref'].rsplit('/', 1)[1].lower()})"
    if "anyOf" in form:
        return " or ".join(_type(each) for each in form["anyOf"])
    if form.get("type") == "array":
        return f"list of {_type(form['items'])}"
    kind = {
        "string": "text",
        "integer": "integer",
        "boolean": "true or false",
        "null": "null",
        "object": "object",
    }
    return kind.get(form.get("type", ""), "any")
