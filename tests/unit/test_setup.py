# SPDX-License-Identifier: Apache-2.0
"""Set-up stores the bytecode of the packages once for each environment, not once for each checkout; it tries downloads again."""

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


def run_setup(checkout, what):
    path = os.pathsep.join((str(checkout / "programs"), "/usr/bin", "/bin"))
    command = [checkout / ".ci/setup", what]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)


def set_up(checkout, what):
    """Run set-up; whether it stored the bytecode of the packages."""
    told = checkout / "told"
    told.write_text("")
    done = run_setup(checkout, what)
    assert done.returncode == 0, done
    return "--compile-bytecode" in told.read_text()


@pytest.mark.parametrize("what", ["demo", "test"])
def test_bytecode_is_stored_for_each_environment_once(checkout, what):
    assert [set_up(checkout, what) for _ in range(3)] == [True, False, False]
    (checkout / "uv.lock").write_text("other packages")
    assert [set_up(checkout, what) for _ in range(2)] == [True, False]
    (checkout / "python").write_text("another interpreter")
    assert [set_up(checkout, what) for _ in range(2)] == [True, False]


FAILING = """#!/bin/sh
# Does nothing the first times that it is asked to.
printf x >>asked
[ "$(wc -c <asked)" -le {times} ] && exit 1
exec ./{program}-that-works "$@"
"""
PYTHON = """#!/bin/sh
# Stands in for Python, as far as it makes an environment with a pip.
mkdir -p .tools/uv/bin
cp programs/pip .tools/uv/bin/pip
"""
DOWNLOADS = {"uv": ".tools/uv/bin/uv", "npm": "programs/npm", "pip": "programs/pip"}


def let_fail(checkout, program, times):
    """Have what downloads fail so often, and have something to download."""
    put(checkout / "programs/sleep", '#!/bin/sh\nprintf "%s " "$1" >>slept\n')
    put(checkout / "contracts/package-lock.json", "other packages")
    put(checkout / f"{program}-that-works", UV if program == "uv" else NOTHING)
    put(checkout / DOWNLOADS[program], FAILING.format(program=program, times=times))
    if program == "pip":
        put(checkout / ".ci/uv.txt", "another uv")
        put(checkout / "programs/python3", PYTHON)
        put(checkout / "uv", UV)
        put(checkout / "pip-that-works", "#!/bin/sh\ncp uv .tools/uv/bin/uv\n")


@pytest.mark.parametrize("program", DOWNLOADS)
def test_a_download_is_tried_three_times(checkout, program):
    let_fail(checkout, program, 2)
    done = run_setup(checkout, "demo")
    assert done.returncode == 0, done
    assert (checkout / "slept").read_text() == "5 20 "
    assert done.stderr.count("is tried again in") == 2


@pytest.mark.parametrize("program", DOWNLOADS)
def test_a_download_that_fails_for_good_is_named(checkout, program):
    let_fail(checkout, program, 9)
    done = run_setup(checkout, "demo")
    assert (done.returncode, (checkout / "asked").read_text()) == (3, "xxx"), done
    assert "registry reachable?" in done.stderr
