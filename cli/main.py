# SPDX-License-Identifier: Apache-2.0
"""The ``ironcage`` program. Verification of evidence starts without the rest of the command line (cli.verify)."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

from cli.address import split_address
from cli.language import LANGUAGE, refuse_language, split_language
from cli.output import USAGE
from cli.signals import end_in_order
from cli.verify import parse_plain, verify_files

_INTERRUPTED = 130


def run() -> None:
    """Run the command line."""
    end_in_order()
    _print_in_any_locale()
    try:
        try:
            _run(sys.argv[1:])
        finally:
            # Where output is buffered a reader that has left shows only now; at exit it would be too late to handle.
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _run(words: list[str]) -> None:
    _, arguments = split_language(words)
    _, arguments = split_address(arguments)
    refused = refuse_language(arguments)
    if refused is not None:
        sys.stderr.write(refused + "\n")
        sys.exit(USAGE)
    wanted = parse_plain(arguments)
    if wanted is not None:
        sys.exit(verify_files(wanted))
    _leave_no_core_file()
    from cli.app import app

    if LANGUAGE == "zh":
        from cli.usage import run_chinese

        sys.exit(run_chinese(app, arguments))
    app(arguments, prog_name="ironcage")


def _print_in_any_locale() -> None:
    """Print in UTF-8 where the locale's encoding has no Chinese, and escape what else it lacks: names are Chinese in any locale."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            try:
                "数据".encode(stream.encoding)
            except UnicodeEncodeError:
                stream.reconfigure(encoding="utf-8")
            stream.reconfigure(errors="backslashreplace")


def _leave_no_core_file() -> None:
    """Leave no core file, which would hold the keys or the passphrase of a command that opens them.

    A system without such limits (Windows), or a sandbox that lets nobody set them, keeps no command from running.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
