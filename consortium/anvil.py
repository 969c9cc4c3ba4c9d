# SPDX-License-Identifier: Apache-2.0
"""The development chain: anvil as a child process, its state kept in a directory of its own.

Loopback only, one block per transaction, every price 0, no accounts of its own (docs/chain.md, The development chain).
It stops cleanly on ``stop``; killed hard it loses what came after its last dump, and nodes then see it *behind*. What it
dumps while it mines need not fit together, for good, so ``stop`` first has it mine nothing.
"""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import contracts
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

DEV_CHAIN_ID: Final = 20260
STATE_INTERVAL_SECONDS: Final = 5
START_TIMEOUT_SECONDS: Final = 30.0
STOP_TIMEOUT_SECONDS: Final = 30.0
REST_TIMEOUT_SECONDS: Final = 10.0

_HOST: Final = "127.0.0.1"
_KEPT_STATES: Final = 64
"""Earlier states kept in memory: enough to find the reason of a revert, and none on disk outside the directory."""
_POLL_SECONDS: Final = 0.02
_ATTEMPTS: Final = 3
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_MAX_LOG_CHARACTERS: Final = 300


class Anvil:
    """A running development chain; use it as a context manager or call :meth:`stop`.

    Args:
        process: The child.
        port: Port on loopback.
        chain_id: Id of the chain.
        directory: Where its state and its log lie.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], *, port: int, chain_id: int, directory: Path
    ) -> None:
        self._process = process
        self.port = port
        self.chain_id = chain_id
        self.directory = directory

    @property
    def url(self) -> str:
        """Address for chain clients."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def is_running(self) -> bool:
        """Tell whether the child is alive."""
        return self._process.poll() is None

    def rest(self) -> None:
        """Have it mine what it was sent, and from then on nothing until it is started again.

        Raises:
            Unavailable: ``chain-away`` or ``chain-stop`` when it does not come to rest in time.
        """
        deadline = time.monotonic() + REST_TIMEOUT_SECONDS
        with closing(HttpTransport(self.url, timeout_seconds=REST_TIMEOUT_SECONDS)) as transport:
            while time.monotonic() < deadline:
                transport.request("evm_setAutomine", [False])
                # What is being mined stays in the pool until its block is there as a whole.
                if transport.request("txpool_status", [])["result"]["pending"] == "0x0":
                    return
                transport.request("evm_setAutomine", [True])
                time.sleep(_POLL_SECONDS)
        raise Unavailable("chain-stop", f"the development chain still mines after {REST_TIMEOUT_SECONDS:g} s")

    def stop(self) -> None:
        """Have it write its state and end; does nothing when it has ended.

        Raises:
            Unavailable: ``chain-stop`` when it did not end in time and was killed; its last changes may be lost.
        """
        if not self.is_running():
            return
        try:
            with suppress(Unavailable):
                self.rest()
        finally:
            # One that does not answer is told to end all the same, and so is one for which nobody waits (Ctrl-C once more):
            # it has a session of its own and would go on for good.
            self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Unavailable(
                "chain-stop",
                f"the development chain did not stop within {STOP_TIMEOUT_SECONDS:g} s and was killed",
            ) from None

    def kill(self) -> None:
        """End it at once; what came after the last dump is lost."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def find_anvil() -> Path:
    """Find the anvil program: the pinned one of the contracts package, else one on the PATH.

    Raises:
        NotFound: ``anvil-missing``.
    """
    system = platform.system().lower()
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    package = Path(contracts.__file__).parent / "node_modules" / "@foundry-rs" / f"anvil-{system}-{machine}"
    pinned = package / "bin" / "anvil"
    if pinned.is_file():
        return pinned
    on_path = shutil.which("anvil")
    if on_path is None:
        raise NotFound(
            "anvil-missing",
            "anvil is not installed: want it on the PATH or from npm ci in the contracts folder",
        )
    return Path(on_path)


def start_anvil(directory: Path, *, port: int | None = None, chain_id: int = DEV_CHAIN_ID) -> Anvil:
    """Start the development chain, or start it again where it was, and wait until it answers.

    Args:
        directory: For ``state.json`` and ``anvil.log``; made when it is missing. One chain at a time uses it.
        port: Port on loopback; a free one when None.
        chain_id: Id of the chain; of a chain that is started again the same as before.

    Raises:
        NotFound: ``anvil-missing``.
        Unavailable: ``chain-port`` when the port is in use, ``chain-start`` when it ends at once or does not answer.
    """
    program = find_anvil()
    directory.mkdir(parents=True, exist_ok=True)
    attempts = 1 if port is not None else _ATTEMPTS
    while True:
        attempts -= 1
        anvil = _spawn(program, directory, _choose_port(port), chain_id)
        try:
            _wait_ready(anvil)
        except Unavailable:
            anvil.kill()
            # Between choosing a port and using it another process may have taken it.
            if not attempts:
                raise
        except BaseException:
            # Ctrl-C, for which it waits in vain.
            anvil.kill()
            raise
        else:
            return anvil


def _spawn(program: Path, directory: Path, port: int, chain_id: int) -> Anvil:
    command = [
        str(program),
        "--quiet",
        *("--host", _HOST, "--port", str(port), "--no-cors"),
        *("--chain-id", str(chain_id), "--hardfork", "paris", "--accounts", "0"),
        *("--base-fee", "0", "--gas-price", "0", "--disable-min-priority-fee"),
        *("--state", str(directory / "state.json"), "--state-interval", str(STATE_INTERVAL_SECONDS)),
        *("--prune-history", str(_KEPT_STATES), "--threads", "1"),
    ]
    with (directory / "anvil.log").open("wb") as log:
        # A session of its own: Ctrl-C goes to whoever started us, who stops the chain after its nodes.
        process = subprocess.Popen(  # noqa: S603  a program that we found ourselves, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            # It keeps old states under its home; that is the chain's own directory too.
            env={"HOME": str(directory.resolve())},
        )
    return Anvil(process, port=port, chain_id=chain_id, directory=directory)


def _wait_ready(anvil: Anvil) -> None:
    rpc = Rpc(HttpTransport(anvil.url, timeout_seconds=START_TIMEOUT_SECONDS))
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    try:
        while anvil.is_running() and time.monotonic() < deadline:
            try:
                chain_id = rpc.chain_id()
            except Unavailable:
                time.sleep(_POLL_SECONDS)
                continue
            if chain_id == anvil.chain_id and anvil.is_running():
                return
            break
    finally:
        rpc.close()
    lines = (anvil.directory / "anvil.log").read_text("utf-8", "replace").split("\n")
    said = " ".join(line.strip() for line in lines if line.strip())[:_MAX_LOG_CHARACTERS]
    raise Unavailable("chain-start", f"the development chain did not start: {said or 'it gives no answer'}")


def _choose_port(port: int | None) -> int:
    # Asked before the child is started, because a chain that already answers there would be taken for the child.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port or 0))
        except OSError as error:
            raise Unavailable("chain-port", f"port {port} cannot be used: {error.strerror}") from None
        chosen: int = probe.getsockname()[1]
        return chosen
