# SPDX-License-Identifier: Apache-2.0
"""The folder of an audit that names none: after the second at which it began, and its own."""

from datetime import UTC, datetime

from cli.audit_files import make_folder

BEGUN = datetime(2026, 11, 22, 13, 0, 0, 999_999, tzinfo=UTC)


def test_audits_of_one_second_have_folders_of_their_own(tmp_path):
    (tmp_path / "audit-20261122T130000Z-3").write_text("a file of the user's")
    made = [make_folder(tmp_path, BEGUN) for _ in range(4)]
    name = "audit-20261122T130000Z"
    assert [folder.name for folder in made] == [name, f"{name}-2", f"{name}-4", f"{name}-5"]
    assert {folder.stat().st_mode & 0o777 for folder in made} == {0o700}
