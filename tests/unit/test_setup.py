# SPDX-License-Identifier: Apache-2.0
"""Set-up stores the bytecode of the packages once for each environment, not once for each checkout."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.project import ROOT

UV = """#!/bin/sh
# Stands in for uv: makes the environment anew when the interpreter is another one, and notes what it is told.
if ! [ "$(cat .venv/python)" = "$(cat python)" ]; then rm -rf .venv; mkdir -p .venv/bin; cp python .venv/python; fi
printf '#!/bin/sh\\n' >.venv/bin/python
chmod 755 .venv/bin/python
printf '%s\\n' "$*" >>told
"""
NOTHING = "#!/bin/sh\n"


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path):
    put(tmp_path / ".ci/find-python", "#!/bin/sh\necho python3\n")
    shutil.copy(ROOT / ".ci/setup", tmp_path / ".ci/setup")
    for same in (".ci/uv.txt", ".tools/uv.txt", "uv.lock", "python"):
        put(tmp_path / same, "as it was")
    for same in ("package-lock.json", "node_modules/.installed-lock.json"):
        put(tmp_path / "contracts" / same, "")
    put(tmp_path / ".tools/uv/bin/uv", UV)
    for name in ("npm", "node", "cc"):
        put(tmp_path / "programs" / name, NOTHING)
    return tmp_path


def set_up(checkout, what):
    """Run set-up; whether it stored the bytecode of the packages."""
    told = checkout / "told"
    told.write_text("")
    path = os.pathsep.join((str(checkout / "programs"), "/usr/bin", "/bin"))
    subprocess.run([checkout / ".ci/setup", what], env={"PATH": path}, capture_output=True, check=True)
    return "--compile-bytecode" in told.read_text()


@pytest.mark.parametrize("what", ["demo", "test"])
def test_bytecode_is_stored_for_each_environment_once(checkout, what):
    assert [set_up(checkout, what) for _ in range(3)] == [True, False, False]
    (checkout / "uv.lock").write_text("other packages")
    assert [set_up(checkout, what) for _ in range(2)] == [True, False]
    (checkout / "python").write_text("another interpreter")
    assert [set_up(checkout, what) for _ in range(2)] == [True, False]
