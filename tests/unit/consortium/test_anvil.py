# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import consortium.anvil
from consortium.anvil import find_anvil, start_anvil
from node.errors import NotFound, Unavailable
from tests.support.errors import raises_code


def empty_package(tmp_path, monkeypatch):
    package = tmp_path / "contracts"
    package.mkdir()
    monkeypatch.setattr(consortium.anvil.contracts, "__file__", str(package / "__init__.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return package


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    empty_package(tmp_path, monkeypatch)
    with raises_code(NotFound, "anvil-missing"):
        find_anvil()


def test_the_pinned_program_comes_before_the_path(tmp_path, monkeypatch):
    package = empty_package(tmp_path, monkeypatch)
    on_path = tmp_path / "anvil"
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    assert find_anvil() == on_path
    monkeypatch.setattr(consortium.anvil.platform, "system", lambda: "Linux")
    monkeypatch.setattr(consortium.anvil.platform, "machine", lambda: "aarch64")
    pinned = package / "node_modules" / "@foundry-rs" / "anvil-linux-arm64" / "bin" / "anvil"
    pinned.parent.mkdir(parents=True)
    pinned.write_text("")
    assert find_anvil() == pinned


def test_a_program_that_ends_at_once_is_an_error_with_its_words(tmp_path, monkeypatch):
    empty_package(tmp_path, monkeypatch)
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho 'no room left' >&2\nexit 3\n")
    program.chmod(0o755)
    with raises_code(Unavailable, "chain-start") as caught:
        start_anvil(tmp_path / "state")
    assert "no room left" in caught.value.message
