# SPDX-License-Identifier: Apache-2.0
"""Builds docs/configuration.md from the settings themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from node.config import Settings

HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- The table is written by `make docs` from node/config.py; a test compares. -->
# Configuration 节点设置

A node is configured by `config.toml` in its home directory, which `ironcage init` writes. Every setting can be
overridden by an environment variable: `IRONCAGE_` and the name in capitals, such as `IRONCAGE_LISTEN_PORT=8621`.
Unknown settings are refused, so a misspelt one is noticed. Changes take effect at the next start.

节点设置写在主目录的 `config.toml`（由 `ironcage init` 生成），也可用 `IRONCAGE_` 开头的环境变量覆盖。
未知的设置会被拒绝；修改后重启生效。

| setting | default | limits | meaning |
|---|---|---|---|
"""

TAIL = """
## The home directory

| path | what | who may read it |
|---|---|---|
| `config.toml` | the settings above | anyone; no secrets |
| `network.json` | the consortium's network file, the same for all members | anyone; **trusted**: who changes it chooses chain and contracts |
| `member.json` | what the deployer of the consortium needs: code, name, roles, public addresses | anyone |
| `keys/` | encrypted key files, token digests; mode 0700 | the node's account only |
| `keys/passphrase` | only when `init` made the passphrase itself. Move it: whoever copies `keys/` with it is the node | the node's account only |
| `keys/recovery.json` | cancels what the operator key did against the member's will. The node never reads it: move it to a cold place | nobody on this machine |
| `keys/operator.token` | token with role operator, for the commands on this machine | the operator |
| `data/store/` | the store: logs, sealed values, wrapped secrets ([storage.md](storage.md)) | the node's account only |
| `data/uploads/` | files of unfinished imports, in the clear; removed when the import ends | the node's account only |
| `heads/` | head files. Keep them **out of backups** of `data/` | the node's account only |
| `run/node.json` | address and process of the running node; `run/` has mode 0700 | the node's account only |

## Passphrase

At least 12 characters. Taken from, in this order: the systemd credential `ironcage-passphrase`, the file named by
`passphrase_file`, a question on the terminal. In production use a credential or a file on other media than the keys:

```
# /etc/systemd/system/ironcage.service
[Service]
LoadCredentialEncrypted=ironcage-passphrase:/etc/ironcage/passphrase.cred
ExecStart=/usr/bin/env ironcage node run --home /srv/ironcage
```

Install with pip, or with uv and `--compile-bytecode`: a start that has to compile the packages first takes twice as long, and where the node's account cannot write
to them, every start does.

## HTTPS

On loopback the node speaks plain HTTP. On any other address it does not start without one of these:

* `tls_certificate` and `tls_key`: it speaks HTTPS itself, TLS 1.2 or newer. A key that others can read, or that does not belong to the certificate, is refused at
  the start. Restart after renewal.
* `behind_proxy = true`: a proxy speaks HTTPS in front, and nobody else reaches the network between the two. Let the proxy pass on `Authorization` and keep
  `/metrics` and `/api` off the public side. The node believes no `X-Forwarded-…` header.

```
listen_host = "10.1.2.3"
tls_certificate = "tls/node.pem"
tls_key = "tls/node.key"
```

Commands on the node's own account accept the certificate of `tls_certificate` and no other. Commands elsewhere check it as browsers do: `--url
https://node.example:8620`, with `--tls-ca FILE` for the department's own CA. They send no token over plain HTTP to another machine.

本机以外的地址必须配置证书，或声明前面有 HTTPS 代理，否则节点拒绝启动。

The node needs about `max_connections` + 2,048 open files and raises its own limit so far as it may; if it may not, its log says `few-open-files`: set
`LimitNOFILE=` of the service.

## Tokens

Calls that need one carry `Authorization: Bearer ict_…`. `init` makes one with role operator for the account of the same name.

```
ironcage token create li --role officer --out li.token    # 0600; give it to her, keep no copy
ironcage token list                                       # accounts, roles, ends; never a token
ironcage token rotate li --overlap 24 --out li-2.token    # the old one works for 24 more hours
ironcage token revoke li                                  # at once
```

The running node takes up every change with its next call. `keys/tokens.json` (0600) holds the SHA-256 digest, name, role and end (seconds, or null) of each token,
never a token. If it cannot be read, nobody is let in. Tokens are compared by digest, in constant time. What each role may do: [api.md](api.md).
Commands take `keys/operator.token` unless `--token-file` or `IRONCAGE_TOKEN_FILE` names another file, mode 0600. After `token rotate operator`, write the new token there.

令牌的新建、轮换、收回立即生效，无须重启；文件中只有摘要，令牌只在新建时显示一次。

## Commands

| variable | meaning |
|---|---|
| `IRONCAGE_HOME` | home directory when `--home` is not given; the current directory otherwise |
| `IRONCAGE_TOKEN_FILE` | token file when `--token-file` is not given |
| `IRONCAGE_URL`, `IRONCAGE_TLS_CA` | node to talk to, and CA of its certificate, when `--url` and `--tls-ca` are not given |
| `IRONCAGE_LANG` | `zh` or `en`; otherwise the locale decides. `--lang` comes before both |
"""


def build() -> str:
    """Build the page."""
    return HEAD + "".join(_line(name, field) for name, field in Settings.model_fields.items()) + TAIL


def _line(name: str, field: Any) -> str:
    return f"| `{name}` | {_default(field)} | {_limits(field)} | {field.description} |\n"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None or value == "":
        return "none"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _limits(field: Any) -> str:
    pattern = next((each.pattern for each in field.metadata if getattr(each, "pattern", None)), None)
    if pattern:
        return " or ".join(f"`{word}`" for word in pattern.strip("^$()").split("|"))
    limits = {type(each).__name__: each for each in field.metadata}
    least, most = limits.get("Ge"), limits.get("Le")
    if least and most:
        return f"{least.ge:,} to {most.le:,}"
    return f"at least {least.ge:,}" if least else ""
