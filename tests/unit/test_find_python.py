# SPDX-License-Identifier: Apache-2.0
"""The interpreter that set-up takes: usable, and built for speed where there is one."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.project import ROOT

SLOW = '#!/bin/sh\ncase "$2" in *sysconfig*) exit 1 ;; esac\n'
FAST = "#!/bin/sh\n"
OLD = "#!/bin/sh\nexit 1\n"
BARE = f"""#!{sys.executable}
import importlib.util, sys
sys.base_prefix = "/usr"
importlib.util.find_spec = lambda _: None
exec(sys.argv[2])
"""
TALKING = "#!/bin/sh\ncat >&2\necho a word of welcome\n"


def find(path):
    bash = "/bin/bash"
    done = subprocess.run(
        [bash, str(ROOT / ".ci" / "find-python")],
        env={"PATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip()


def put(directory, name, script):
    directory.mkdir(exist_ok=True)
    program = directory / name
    program.write_text(script)
    program.chmod(0o755)
    return str(program)


def test_one_built_for_speed_is_taken_before_the_first_one(tmp_path):
    put(tmp_path / "a", "python3", SLOW)
    fast = put(tmp_path / "b", "python3", FAST)
    put(tmp_path / "b", "python3.13", FAST)
    assert find([tmp_path / "a", tmp_path / "b"]) == (0, fast)


def test_without_such_a_one_the_first_usable_one_is_taken(tmp_path):
    put(tmp_path / "a", "python3", OLD)
    slow = put(tmp_path / "b", "python3", SLOW)
    put(tmp_path / "b", "python3.12", SLOW)
    assert find([tmp_path / "a", tmp_path / "b"]) == (0, slow)


def test_nothing_usable_is_nothing(tmp_path):
    put(tmp_path / "a", "python3", OLD)
    assert find([tmp_path / "a"]) == (1, "")


def test_a_wrapper_that_reads_and_talks_changes_nothing(tmp_path):
    put(tmp_path / "a", "python3", TALKING + "exit 1\n")
    talking = put(tmp_path / "b", "python3", TALKING)
    assert find([tmp_path / "a", tmp_path / "b", "/bin"]) == (0, talking)


def test_one_that_can_make_no_environment_stands_behind_others(tmp_path):
    bare = put(tmp_path / "a", "python3", BARE)
    slow = put(tmp_path / "b", "python3", SLOW)
    assert find([tmp_path / "b", tmp_path / "a"]) == (0, slow)
    assert find([tmp_path / "a"]) == (0, bare)
