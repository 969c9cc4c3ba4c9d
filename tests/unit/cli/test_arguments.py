# SPDX-License-Identifier: Apache-2.0
"""Command lines that are refused, or answered, before any node is asked."""

import pytest

from tests.support.real_node import ironcage, make_home


@pytest.mark.parametrize(
    "words",
    [("--lang", "fr", "record", "list"), ("record", "list", "--lang=fr"), ("record", "list", "--lang")],
)
def test_a_language_that_we_do_not_speak_is_answered_with_those_that_we_do(words):
    refused = ironcage(*words)
    assert (refused.code, "zh" in refused.err, "en" in refused.err) == (2, True, True), refused


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert ironcage("--version").out == f"ironcage {version('ironcage')}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("home") / "node", 1).home


@pytest.mark.parametrize("fields", ["", " , "])
def test_an_export_that_discloses_nothing_is_wrong_usage(home, fields):
    refused = ironcage("evidence", "export", "0" * 64, "--purpose", "x", "--disclose", fields, home=home)
    assert (refused.code, "[disclose-empty]" in refused.err) == (2, True), refused


@pytest.mark.parametrize("extra", [(), ("--force",)])
def test_a_deployment_that_cannot_write_its_result_is_refused_first(home, tmp_path, extra):
    taken = tmp_path / "network.json"
    taken.write_text("{}")
    out = tmp_path / "none" / "network.json" if extra else taken
    keys = home / "keys"
    refused = ironcage(
        *("chain", "deploy", "--rpc", "http://127.0.0.1:9", "--domain", "x.example"),
        *("--founder", home / "member.json", "--key", keys / "operator.json"),
        *("--passphrase-file", keys / "passphrase", "--out", out, *extra),
    )
    code = "file-access" if extra else "output-exists"
    assert f"[{code}]" in refused.err, refused
    assert taken.read_text() == "{}"


def test_what_one_subject_takes_home_is_not_put_to_that_of_another(home, tmp_path):
    (tmp_path / "0123456789abcdef.look.json").write_text("{}")
    refused = ironcage(
        *("subject", "looks", "uscc:91520100MA00000156", "--document", "business-licence"),
        *("--save", tmp_path),
        home=home,
    )
    assert (refused.code != 0, "[output-exists]" in refused.err) == (True, True), refused
    assert [path.name for path in tmp_path.iterdir()] == ["0123456789abcdef.look.json"]
