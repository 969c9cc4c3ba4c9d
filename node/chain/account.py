# SPDX-License-Identifier: Apache-2.0
"""One account that sends transactions: sign exactly, hand over as often as needed, find what became of them.

signed    the bytes exist, nothing was sent
waiting   a chain node has them                          nothing is known that would outlive that node
in block  the receipt's block is in the present history   may still go, unless it is final
final     the engine cannot take the block back
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.chain.rpc import CallReverted, RpcError
from node.core.encoding import encode_hex
from node.crypto.keccak import keccak256
from node.crypto.secp256k1 import encode_address, parse_address
from node.errors import Conflict, InvalidInput, Unavailable
from node.ports import SignedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.chain.profile import EngineProfile
    from node.chain.rpc import Receipt, Rpc
    from node.core.clock import Clock
    from node.crypto.secp256k1 import OperatorKey

RESERVED_CHAIN_ID: Final = 1
"""GoQuorum takes a signature for chain id 1 for a private transaction."""

MAX_CHAIN_ID: Final = 2**53 - 1
POLL_SECONDS: Final = 0.05

_KNOWN: Final = ("already known", "already imported", "known transaction", "already in pool")
_NONCE_USED: Final = ("nonce too low", "nonce is too low", "nonce too small", "replacement transaction")


@dataclass(frozen=True, slots=True)
class Settled:
    """A transaction in a block of the present history.

    Attributes:
        receipt: What it did.
        time: Time of its block in seconds.
        final: Whether the engine can no longer take the block back.
    """

    receipt: Receipt
    time: int
    final: bool


def check_chain_id(chain_id: int) -> None:
    """Refuse a chain id that signatures must not carry.

    Raises:
        InvalidInput: ``chain-id``.
    """
    if not RESERVED_CHAIN_ID < chain_id <= MAX_CHAIN_ID:
        raise InvalidInput("chain-id", f"chain id is out of range: got {chain_id}, want 2 to 2^53-1")


class ChainAccount:
    """An account on one chain.

    Args:
        rpc: The chain node.
        chain_id: Id that signatures carry, not 1.
        profile: Of the chain's engine.
        key: Signs; None for an account that only looks things up.

    Raises:
        InvalidInput: ``chain-id``.
    """

    def __init__(self, rpc: Rpc, chain_id: int, profile: EngineProfile, key: OperatorKey | None) -> None:
        check_chain_id(chain_id)
        self._rpc = rpc
        self._chain_id = chain_id
        self._profile = profile
        self._key = key
        self._has_finalized: bool | None = None

    @property
    def address(self) -> bytes:
        """Own address, 20 bytes."""
        return parse_address(self._signer().address)

    def next_nonce(self) -> int:
        """Give the nonce that the chain expects next, transactions that wait included."""
        # Some engines answer "pending" from a pool that lags behind the state.
        return max(self._rpc.transaction_count(self.address, tag) for tag in ("pending", "latest"))

    def sign(self, to: bytes | None, data: bytes, *, gas: int, nonce: int) -> SignedTransaction:
        """Sign a transaction; asks and sends nothing.

        Args:
            to: Address of 20 bytes; None creates a contract.
            data: Call data or creation code.
            gas: Greatest gas it may use.
            nonce: Its place among this account's transactions.
        """
        raw = self._signer().sign_legacy_transaction(
            nonce=nonce,
            gas_price=self._profile.gas_price_wei,
            gas=gas,
            to=None if to is None else encode_address(to),
            value=0,
            data=data,
            chain_id=self._chain_id,
        )
        return SignedTransaction(raw, keccak256(raw), nonce)

    def send(self, raw: bytes) -> None:
        """Hand a signed transaction over; the same bytes may be handed over any number of times.

        Raises:
            Conflict: ``nonce-used`` when another transaction took its place.
            Unavailable: ``chain-refused`` when the chain node does not take it for another reason.
        """
        tx_hash = keccak256(raw)
        try:
            answered = self._rpc.send(raw)
        except RpcError as error:
            # Engines word "I have it already" in many ways, and say "nonce too low" of what they have mined, so
            # the look-up decides and the wording only names the error.
            if self._rpc.find_transaction(tx_hash) is not None:
                return
            raise_unless_known(error, tx_hash)
            return
        if answered != tx_hash:
            raise Unavailable(
                "chain-answer", f"chain node {self._rpc.place} answers another transaction's hash"
            )

    def find_settled(self, tx_hash: bytes) -> Settled | None:
        """Find a transaction in a block of the present history; None while it stands in none."""
        receipt = self._rpc.find_receipt(tx_hash)
        if receipt is None:
            return None
        block = self._rpc.find_block(receipt.block)
        if block is None or block.hash != receipt.block_hash:
            return None
        return Settled(receipt, block.time, self._is_final(receipt.block))

    def find_reason(self, tx_hash: bytes, receipt: Receipt, describe: Callable[[bytes], str]) -> str:
        """Find why a transaction was reverted, by making the same call on the state before its block.

        Args:
            tx_hash: Of the transaction.
            receipt: Its receipt.
            describe: Puts the contract's reason into words.
        """
        sent = self._rpc.find_transaction(tx_hash)
        if sent is None or sent.to is None:
            return "no reason given"
        if receipt.gas_used >= sent.gas:
            return "out of gas"
        # A pruned node lacks the state before the block; the newest state mostly gives the same reason.
        for state in (receipt.block - 1, "latest"):
            try:
                self._rpc.call(sent.to, sent.data, sender=sent.sender, gas=sent.gas, block=state)
            except CallReverted as reverted:
                return describe(reverted.data)
            except RpcError:
                continue
        return "no reason found: the same call succeeds now"

    def wait_final(
        self,
        signed: SignedTransaction,
        *,
        clock: Clock,
        sleep: Callable[[float], None],
        timeout_seconds: float,
        describe: Callable[[bytes], str],
    ) -> Settled:
        """Send a transaction and wait until it is final; for commands that a person waits for.

        Raises:
            Conflict: ``transaction-reverted`` with the contract's reason.
            Unavailable: ``chain-timeout`` when it is not final in time; it may still come.
        """
        self.send(signed.raw)
        deadline = clock.monotonic() + timeout_seconds
        while (settled := self.find_settled(signed.tx_hash)) is None or not settled.final:
            if clock.monotonic() > deadline:
                raise Unavailable(
                    "chain-timeout",
                    f"transaction {encode_hex(signed.tx_hash)} is not final after {timeout_seconds:g} s",
                )
            sleep(POLL_SECONDS)
        if settled.receipt.status != 1:
            reason = self.find_reason(signed.tx_hash, settled.receipt, describe)
            raise Conflict("transaction-reverted", f"the contract refused the transaction: {reason}")
        return settled

    def _is_final(self, block: int) -> bool:
        if self._profile.finality == "block":
            return True
        finalized = self._finalized_block() if self._profile.finality == "tag" else None
        return self._profile.is_final(block, self._rpc.block_number(), finalized)

    def _finalized_block(self) -> int | None:
        if self._has_finalized is False:
            return None
        try:
            block = self._rpc.find_block("finalized")
        except RpcError:
            # Once the tag has answered, an error is an error and no reason to fall back to a weaker rule.
            if self._has_finalized:
                raise
            self._has_finalized = False
            return None
        self._has_finalized = True
        return block.number if block is not None else 0

    def _signer(self) -> OperatorKey:
        assert self._key is not None, "this account was opened without its key"
        return self._key


def raise_unless_known(error: RpcError, tx_hash: bytes) -> None:
    """Raise what a refused transaction means, unless the refusal says that the node has it already.

    Raises:
        Conflict: ``nonce-used``.
        Unavailable: ``chain-refused``.
    """
    text = error.rpc_message.lower()
    if any(known in text for known in _KNOWN):
        return
    if any(used in text for used in _NONCE_USED):
        raise Conflict(
            "nonce-used",
            f"another transaction of this account took the nonce of {encode_hex(tx_hash)}: {error.rpc_message}",
        )
    raise Unavailable(
        "chain-refused", f"chain node does not take transaction {encode_hex(tx_hash)}: {error.rpc_message}"
    )
