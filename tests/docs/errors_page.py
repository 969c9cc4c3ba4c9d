# SPDX-License-Identifier: Apache-2.0
"""Builds docs/errors.md from node/core/texts.json and from where the sources raise each code."""

from __future__ import annotations

from node.api.problems import _UNAUTHENTICATED
from node.core.texts import title_of
from tests.support.errorcodes import HTTP_ONLY, find_codes, statuses

HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by `make docs` from node/core/texts.json and the sources; a test compares. Change those, not this page. -->
# Errors 错误代码

Every error has a stable code. Programs should act on the code, people read the title and the detail, which says
what was got and what was wanted. Details name places, rules and classes of values, never personal data.

每个错误都有固定代码。程序按代码处理；标题和说明供人阅读，不含个人信息。

* **HTTP**: an `application/problem+json` body (RFC 9457) with `code`, `title` (Chinese, or English when
  `Accept-Language` begins with `en`), `detail` and `status`. Status 503 comes with `Retry-After`.
* **Command line**: title, detail and `[code]` on standard error, one JSON object with `--json`.
* **Verification report**: a step that failed or was not checked carries the code.

| class | HTTP | exit code | meaning | 含义 |
|---|---|---|---|---|
| InvalidInput | 400 | 2 | the input is not what its format or rule says | 输入不符合格式或规则 |
| AccessDenied | 401, 403 | 1 | the caller may not do this | 无权操作 |
| NotFound | 404 | 1 | there is no such thing here | 没有该对象 |
| Conflict | 409 | 1 | it contradicts what is already there; the node may be read-only | 与已有内容矛盾；节点可能只读 |
| Verification | 422 | 1 | a proof, signature or digest does not hold | 证明、签名或摘要不成立 |
| Unavailable | 503 | 3 | not now; the same call may succeed later | 暂时不可用，可重试 |
| Fatal | 500 | 1 | the node's own state is unknown: it stops and recovers at restart | 节点自身状态未知，须重启恢复 |
| report | – | 1, or 3 | only in verification reports; the exit code is the report's | 仅见于验证报告 |

A file or passphrase that a command was pointed to and that is not there is wrong usage too: exit code 2.

| code | 中文 | English | HTTP | class |
|---|---|---|---|---|
"""


def build() -> str:
    """Build the page."""
    status = statuses()
    lines = []
    found = find_codes()
    for code in sorted(found.keys() | HTTP_ONLY.keys()):
        classes = sorted(found.get(code, set()))
        numbers = {status[name] for name in classes if name in status}
        if code in _UNAUTHENTICATED:
            numbers = {401}
        if code in HTTP_ONLY:
            numbers.add(HTTP_ONLY[code])
        shown = ", ".join(map(str, sorted(numbers))) or "–"
        named = ", ".join(classes) or "HTTP only"
        lines.append(f"| `{code}` | {title_of(code, 'zh')} | {title_of(code, 'en')} | {shown} | {named} |\n")
    return HEAD + "".join(lines)
