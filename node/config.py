# SPDX-License-Identifier: Apache-2.0
"""Settings of one node: ``config.toml`` in its home directory, overridden by ``IRONCAGE_…`` variables.

Each setting says its meaning, unit and default, and what someone who controls it could do (docs/configuration.md
is written from these texts).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from node.core.hosts import is_loopback
from node.core.printable import cut_line
from node.core.uscc import parse_uscc
from node.errors import InvalidInput, NotFound

MAX_CONFIG_BYTES = 65_536
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

MemberCodeSetting = Annotated[str, AfterValidator(lambda text: str(parse_uscc(text)))]


class Settings(BaseSettings):
    """All settings of a node. Paths are relative to the home directory."""

    model_config = SettingsConfigDict(env_prefix="IRONCAGE_", extra="forbid", frozen=True)

    member: MemberCodeSetting = Field(
        description="USCC of the department (18 characters). Whoever changes it makes the node sign for another "
        "member; its keys are not registered for that one, so nothing verifies."
    )
    name_zh: str = Field(
        min_length=1, max_length=200, description="Name of the department in Chinese, for screens only."
    )
    name_en: str = Field(
        "", max_length=200, description="Name of the department in English, for screens only."
    )
    listen_host: str = Field(
        "127.0.0.1",
        description="Address the HTTP server listens on. Anything but loopback needs `tls_certificate` or "
        "`behind_proxy`, or the node does not start; opening it exposes the API to whoever reaches that network.",
    )
    listen_port: int = Field(
        8620,
        ge=0,
        le=65535,
        description="Port of the HTTP server; 0 picks a free one and writes it to run/node.json.",
    )
    tls_certificate: Path | None = Field(
        None,
        description="PEM file with the server's certificate and what leads from it to its CA. Read at the start: "
        "restart after renewal. With it the server speaks TLS 1.2 or newer and nothing else.",
    )
    tls_key: Path | None = Field(
        None,
        description="PEM file with the certificate's key, not encrypted, mode 0600. Whoever reads it can pose as this "
        "server and take tokens, but not sign anything of the node's.",
    )
    behind_proxy: bool = Field(
        default=False,
        description="Listen on an address beyond loopback in plain HTTP, because a proxy on a network that only the two "
        "share speaks TLS in front. Without such a proxy tokens and records cross the network in the clear.",
    )
    max_connections: int = Field(
        1_024,
        ge=16,
        le=65_536,
        description="Connections open at once; further ones are answered 503, or cut off over TLS. Guards memory and open files.",
    )
    request_timeout_seconds: float = Field(
        20.0,
        ge=0.1,
        le=600,
        description="Longest wait for the handshake of TLS, for the head of a request, for each 64 KiB of its body, and for a "
        "caller to take its answer. Guards against callers who hold connections and do nothing.",
    )
    idle_timeout_seconds: float = Field(
        10.0, ge=0.1, le=600, description="Longest wait for the next request on an open connection."
    )
    public_url: str = Field(
        "",
        max_length=255,
        description="Where the other members' nodes reach this one: `https://host[:port]`, or `http://127.0.0.1:port` for nodes "
        "on one machine. Written to the chain at the next start, with the key of the certificate; empty leaves the chain "
        "as it is. Whoever changes it can keep questions from arriving, not read them: they are sealed.",
    )
    public_certificate: Path | None = Field(
        None,
        description="PEM file with the certificate that is shown at `public_url`, where a proxy speaks TLS; by default "
        "`tls_certificate`. Others talk to whoever holds its key and to nobody else.",
    )
    network_file: Path = Field(
        Path("network.json"),
        description="The consortium's network file: domain, chain, contracts. Whoever changes it can point the node "
        "at another chain; anchors then fail to match evidence policies.",
    )
    plain_peers: bool = Field(
        default=False,
        description="Speak plain HTTP to other members' nodes whose address on the chain is on this machine, for tests and "
        "demonstrations. Questions stay sealed and signed, but anybody on this machine sees who asks whom.",
    )
    rpc_url: str = Field(
        "",
        description="JSON-RPC address of the chain node; empty takes the first of the network file. Whoever controls "
        "it can delay anchors and lie about the chain to this node, but not to verifiers who ask another one.",
    )
    data_dir: Path = Field(
        Path("data"), description="The store. Whoever writes here can stop the node, not forge."
    )
    head_dir: Path = Field(
        Path("heads"),
        description="Head files. Must lie outside data_dir and its backups: restoring both together would hide a fork "
        "until the chain or a peer shows it.",
    )
    keys_dir: Path = Field(Path("keys"), description="Key files, encrypted. Mode 0700.")
    passphrase_file: Path | None = Field(
        None,
        description="File with the passphrase of the keys (mode 0600; a systemd credential fits). Empty asks on the "
        "terminal. Whoever reads it and the keys is the node.",
    )
    items_dir: Path | None = Field(
        None, description="Directory of further catalogue items (*.json) beside the built-in ones."
    )
    anchor_period_seconds: int = Field(
        300,
        ge=1,
        le=86_400,
        description="Seconds between anchors. Longer means wider time intervals in evidence.",
    )
    workers: int = Field(2, ge=1, le=64, description="Processes that validate and sign rows.")
    max_upload_bytes: int = Field(
        1 << 30, ge=1 << 16, description="Largest file accepted for import, bytes. Guards the disk."
    )
    reader_memory_bytes: int = Field(
        480 << 20,
        ge=256 << 20,
        description="Memory (address space) of the process that reads an uploaded workbook, bytes.",
    )
    language: str = Field(
        "zh", pattern="^(zh|en)$", description="Language of messages where the caller names none."
    )

    _home: Path = Path()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the file given to ``load_settings``."""
        return (env_settings, init_settings)

    def path(self, setting: Path) -> Path:
        """Resolve a path setting against the home directory."""
        return setting if setting.is_absolute() else self._home / setting

    def require_separate_heads(self) -> None:
        """Refuse head files inside the store's directory, or around it: a backup of one would restore both.

        Raises:
            InvalidInput: ``config-head-dir``.
        """
        data, heads = self.path(self.data_dir).resolve(), self.path(self.head_dir).resolve()
        if heads.is_relative_to(data) or data.is_relative_to(heads):
            raise InvalidInput(
                "config-head-dir", "head_dir and data_dir lie one inside the other: want them side by side"
            )

    def require_guarded_port(self) -> None:
        """Refuse to let tokens cross a network in the clear.

        Raises:
            InvalidInput: ``config-tls``: half of TLS is set; ``listen-open``: neither TLS nor a proxy, not on loopback.
        """
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise InvalidInput("config-tls", "tls_certificate and tls_key are set together or not at all")
        if self.tls_certificate is None and not self.behind_proxy and not is_loopback(self.listen_host):
            raise InvalidInput(
                "listen-open",
                f"listen_host {self.listen_host} is not loopback and tokens would cross the network in the clear: "
                "set tls_certificate and tls_key, or behind_proxy = true when a proxy speaks TLS in front",
            )

    @property
    def home(self) -> Path:
        """The home directory."""
        return self._home


def load_settings(home: Path) -> Settings:
    """Load the settings of the node whose home directory this is.

    Raises:
        NotFound: There is no config.toml.
        InvalidInput: A setting is unknown or not what it must be.
    """
    file = home / "config.toml"
    if not file.is_file():
        raise NotFound("config-missing", f"no config.toml in {home}: create the node with `ironcage init`")
    settings = parse_settings(file.read_bytes())
    settings._home = home.resolve()  # noqa: SLF001 - the model is frozen and the home is no setting
    return settings


def parse_settings(data: bytes) -> Settings:
    """Parse the content of a config.toml; what the environment sets overrides it.

    Raises:
        InvalidInput: ``config-syntax``; ``config-setting`` for one that is unknown or not what it must be.
    """
    if len(data) > MAX_CONFIG_BYTES:
        raise InvalidInput(
            "config-syntax",
            f"config.toml is too large: got {len(data)} bytes, want at most {MAX_CONFIG_BYTES}",
        )
    try:
        values = tomllib.loads(data.decode())
    except RecursionError:
        raise InvalidInput("config-syntax", "config.toml is nested too deep") from None
    except ValueError as error:
        raise InvalidInput("config-syntax", _one_line(f"config.toml is not TOML: {error}")) from None
    for name, value in values.items():
        # No path has a zero byte, and a name is shown on terminals.
        if type(value) is str and _CONTROL.search(value):
            raise InvalidInput(
                "config-setting",
                _one_line(f"setting {name} in config.toml: its text has control characters"),
            )
    # The settings library takes names of this form for arguments of its own: other sources, the command line.
    foreign = sorted(set(values) - Settings.model_fields.keys())
    if foreign:
        raise InvalidInput(
            "config-setting", _one_line(f"setting {foreign[0]} in config.toml: there is no such setting")
        )
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            "config-setting", _one_line(f"setting {name} in config.toml: {first['msg']}")
        ) from None


def _one_line(text: str) -> str:
    return cut_line(text, most_characters=500)
