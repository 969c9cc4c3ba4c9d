# SPDX-License-Identifier: Apache-2.0
"""What a chain node answers: JSON-RPC bodies, blocks, receipts, logs, ABI words, reasons; addresses and the network file."""

from __future__ import annotations

from functools import cache

from eth_abi import encode as encode_abi

from contracts import load_artifact
from node.chain.contracts import NO_ID, encode_code, load_abi, parse_anchored
from node.chain.evm import EvmChain
from node.chain.network import encode_network, parse_network
from node.chain.reader import RpcChainReader
from node.chain.rpc import Event, Rpc, printable
from node.chain.transport import HttpTransport, decode_answer, parse_rpc_url
from node.core.canonical import encode_json, parse_json
from node.core.clock import MAX_TIME
from node.core.encoding import encode_hex
from node.core.types import LogId, MemberCode
from node.errors import NodeError
from node.log.anchor import Anchor, encode_anchor_abi
from node.ports import KeyKind
from tests.fuzz.case import Target, as_text, check_error, check_kept
from tests.support.labs import operator_key
from tests.support.records import MEMBER
from tests.unit.chain.test_network import NETWORK
from tests.unit.chain.test_rpc import ADDRESS, BLOCK, HASH, RECEIPT

MAX_U64 = 2**64 - 1
LOG = LogId(bytes(range(32)))
_NO_MATTER = "a chain node's answer: nothing is signed over its spelling"
_CALLS = 200


class GarbageNode:
    """Answers every call with the next of some bodies, and begins again behind the last one."""

    place = "garbage:1"

    def __init__(self, bodies):
        self._bodies = bodies
        self.calls = 0

    def request(self, _method, _params):
        self.calls += 1
        assert self.calls <= _CALLS, "asks without end"
        body = self._bodies[(self.calls - 1) % len(self._bodies)]
        return decode_answer(body, http_status=200, place=self.place)

    def close(self):
        pass


class ScriptNode(GarbageNode):
    """Answers by method, eth_call by the function's selector, from one JSON object."""

    def __init__(self):
        super().__init__([b""])
        self.script = {}

    def request(self, method, params):
        self.calls += 1
        assert self.calls <= _CALLS, "asks without end"
        answers = self.script.get(method)
        if method == "eth_call" and type(answers) is dict:
            answers = answers.get(params[0]["data"][:10])
        if type(answers) is dict and type(answers.get("error")) is dict:
            return {"error": answers["error"]}
        return {"result": answers}


RPC_CALLS = (
    lambda rpc: rpc.client_version(),
    lambda rpc: rpc.chain_id(),
    lambda rpc: rpc.block_number(),
    lambda rpc: rpc.is_syncing(),
    lambda rpc: rpc.find_block("latest"),
    lambda rpc: rpc.newest_block(),
    lambda rpc: rpc.code(bytes(20)),
    lambda rpc: rpc.transaction_count(bytes(20), "latest"),
    lambda rpc: rpc.call(bytes(20), b""),
    lambda rpc: rpc.estimate_gas(None, b"", sender=bytes(20)),
    lambda rpc: rpc.send(b""),
    lambda rpc: rpc.find_transaction(bytes(32)),
    lambda rpc: rpc.find_receipt(bytes(32)),
    lambda rpc: rpc.events(bytes(20), (), from_block=0, to_block=0),
    lambda rpc: rpc.answers("eth_getProof"),
)


def each(calls, client):
    """Make every call; whatever comes back is of its types or one of our errors. Raise one where all were refused."""
    refusals = []
    for call in calls:
        try:
            check_value(call(client))
        except NodeError as error:
            check_error(error)
            refusals.append(error)
    if len(refusals) == len(calls):
        raise refusals[0]


def check_value(value):
    """Check that what a chain node said can be stored and shown: numbers of 64 bits, times of the calendar."""
    if type(value) is int:
        assert 0 <= value <= MAX_U64, "a number of a chain node does not fit 64 bits"
    elif isinstance(value, str):
        assert value.isprintable(), "a text of a chain node is not printable"
    elif isinstance(value, tuple | list):
        for item in value:
            check_value(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            check_value(getattr(value, name))
            if name == "time":
                assert getattr(value, name) <= MAX_TIME, "a time is in no calendar"


def _rpc_answer(data):
    answer = decode_answer(data, http_status=200, place="garbage:1")
    assert type(answer) is dict
    for status in (400, 503):
        try:
            decode_answer(data, http_status=status, place="garbage:1")
        except NodeError as error:
            check_error(error)


def _rpc(data):
    """Bodies, a line each."""
    bodies = data.split(b"\n")
    each(RPC_CALLS, Rpc(GarbageNode(bodies)))
    each(READER_CALLS, _reader(bodies))


READER_CALLS = (lambda reader: reader.block_hash(7), lambda reader: reader.commitment(ADDRESS, LOG, 1))


def _reader(bodies):
    reader = RpcChainReader("http://127.0.0.1:1")
    reader._rpc = Rpc(GarbageNode(bodies))
    return reader


CLIENT_CALLS = (
    lambda chain: chain.log_head(LOG),
    lambda chain: chain.log_info(LOG),
    lambda chain: chain.last_log(MemberCode(MEMBER), 1),
    lambda chain: chain.commitment(LOG, 1),
    lambda chain: chain.fetch_anchors(LOG, 1),
    lambda chain: chain.next_nonce(),
    lambda chain: chain.find_outcome(bytes(32)),
    lambda chain: chain.members(),
    lambda chain: chain.member(MemberCode(MEMBER)),
    lambda chain: chain.key_at(MemberCode(MEMBER), KeyKind.RECORD, 7),
    lambda chain: chain.keys(MemberCode(MEMBER), KeyKind.RECORD),
    lambda chain: chain.compromised_from(MemberCode(MEMBER), KeyKind.RECORD, LOG),
    lambda chain: chain.block_time(7),
    lambda chain: chain.send(b"x"),
    lambda chain: chain.capabilities(),
    lambda chain: chain.probe({LOG: ANCHOR}),
)


def _chain_client(data):
    """What every method answers, as one object."""
    script = parse_json(data, max_bytes=65_536)
    if type(script) is dict:
        node, chain = _client()
        node.script, node.calls, chain._account._has_finalized = script, 0, None
        chain.probe({LOG: ANCHOR})
        each(CLIENT_CALLS, chain)


@cache
def _client():
    """One client for all cases: reading the contracts' ABI takes longer than a case."""
    node = ScriptNode()
    return node, EvmChain(Rpc(node), NETWORK.settings(), operator_key(1))


def _abi_result(data):
    """One byte of which function, then what it returned."""
    contract, function = READS[data[0] % len(READS)] if data else READS[0]
    check_plain(load(contract).decode_result(function, data[1:]))


def check_plain(value):
    """Check that a decoded value is made of plain types."""
    if isinstance(value, tuple | list):
        for item in value:
            check_plain(item)
    else:
        assert type(value) in {int, bytes, str, bool}


def _abi_event(data):
    """Four topics, then the data."""
    topics = tuple(data[at : at + 32] for at in range(0, 128, 32) if data[at : at + 32])
    event = Event(bytes(20), topics[:3], data[96:], 12, bytes(32))
    log, anchor = parse_anchored(load("AnchorLog"), event)
    assert (len(log), anchor.block) == (32, 12)
    assert encode_anchor_abi(anchor) == data[96:352]


def _abi_reason(data):
    for name in ("AnchorLog", "MemberRegistry"):
        text = load(name).describe_reason(data)
        assert text.isprintable()
        assert len(text) < 2_000
    assert len(printable(as_text(data))) <= 200


def _rpc_url(data):
    """An address that is accepted can be called: no other error than that nobody answers."""
    url = parse_rpc_url(as_text(data))
    assert url.host.isascii()
    assert 0 < url.port < 65_536
    assert url.place.isprintable()
    HttpTransport(as_text(data)).close()
    # What the socket does with a name before it asks anybody.
    url.host.encode("idna")


def _network(data):
    network = parse_network(data)
    again = encode_network(network)
    assert parse_network(again) == network
    assert encode_network(parse_network(again)) == again
    check_kept(data, again)


@cache
def load(name):
    return load_abi(name)


READS = tuple(
    (name, entry["name"])
    for name in ("AnchorLog", "MemberRegistry")
    for entry in sorted(load_artifact(name).abi, key=lambda entry: entry.get("name", ""))
    if entry["type"] == "function" and entry["stateMutability"] == "view" and entry["outputs"]
)
ANCHOR = Anchor(2, 5, 10, 1_790_000_000, 9, bytes(range(32)), 12, 1_790_000_060)
FIRST = Anchor(1, 0, 4, 1_780_000_000, 5, bytes(range(32)), 10, 1_790_000_000)


def _example(kind):
    """Give a value of an ABI type."""
    if kind.startswith("("):
        inner, _, array = kind[1:].rpartition(")")
        item = tuple(_example(each) for each in inner.split(","))
        return [item, item] if array else item
    fixed = {
        "address": ADDRESS,
        "bool": True,
        "string": "zj.example",
        "bytes": b"\x01\x02",
        "bytes18": encode_code(MemberCode(MEMBER)),
    }
    return fixed[kind] if kind in fixed else bytes(range(32)) if kind.startswith("bytes") else 3


def _result(contract, function):
    results = load(contract)._functions[function].results
    return encode_abi(results, [_example(kind) for kind in results])


def _selector(contract, function):
    return encode_hex(load(contract)._functions[function].hash[:4])


@cache
def _scripts():
    """An honest chain: two anchors of one log."""
    calls = {
        _selector(contract, function): encode_hex(_result(contract, function)) for contract, function in READS
    }
    calls[_selector("AnchorLog", "head")] = encode_hex(
        encode_abi(load("AnchorLog")._functions["head"].results, [9, 2, 12, 1_790_000_060, bytes(range(32))])
    )
    calls[_selector("MemberRegistry", "keyAt")] = encode_hex(NO_ID)
    topic = load("AnchorLog").topic("Anchored")
    logs = [
        {
            "address": encode_hex(NETWORK.anchor_log),
            "topics": [encode_hex(topic), encode_hex(LOG), encode_hex(anchor.i.to_bytes(32, "big"))],
            "data": encode_hex(encode_anchor_abi(anchor)),
            "blockNumber": hex(anchor.block),
            "transactionHash": HASH,
        }
        for anchor in (FIRST, ANCHOR)
    ]
    script = {
        "web3_clientVersion": "anvil/v1",
        "eth_chainId": hex(NETWORK.chain_id),
        "eth_blockNumber": "0x20",
        "eth_syncing": False,
        "eth_getBlockByNumber": {**BLOCK, "extraData": "0x", "hash": encode_hex(NETWORK.deployed_block_hash)},
        "eth_getCode": "0x01",
        "eth_getTransactionCount": "0x1",
        "eth_call": calls,
        "eth_sendRawTransaction": HASH,
        "eth_getTransactionReceipt": {
            **RECEIPT,
            "logs": logs,
            "blockHash": encode_hex(NETWORK.deployed_block_hash),
        },
        "eth_getTransactionByHash": {
            "from": ADDRESS,
            "to": ADDRESS,
            "gas": "0x10000",
            "input": "0x",
            "blockNumber": "0x5",
        },
        "eth_getLogs": logs,
        "eth_getProof": None,
    }
    refused = {
        **script,
        "eth_call": {
            "error": {"code": 3, "message": "execution reverted", "data": encode_hex(_reasons()[0])}
        },
    }
    reverted = {
        **refused,
        "eth_getTransactionReceipt": {**script["eth_getTransactionReceipt"], "status": "0x0", "logs": []},
    }
    return [encode_json(each) for each in (script, refused, reverted)]


def _rpc_bodies():
    answers = ("anvil/v1", "0x10", False, None, BLOCK, RECEIPT, "0x0102", HASH, [RECEIPT["logs"][0]])
    bodies = [encode_json({"jsonrpc": "2.0", "id": 1, "result": answer}) for answer in answers]
    error = encode_json(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "error": {"code": 3, "message": "execution reverted", "data": {"data": "0x08c379a0"}},
        }
    )
    return [*bodies, error, b"\n".join(bodies[:4]), bodies[1] + b"\n" + error]


def _reasons():
    panic = bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big")
    error = bytes.fromhex("08c379a0") + encode_abi(["string"], ["no"])
    own = [
        item.hash[:4] + encode_abi(item.types, [_example(kind) for kind in item.types])
        for item in load("AnchorLog")._errors.values()
    ]
    return [own[0], panic, error, *own[1:]]


def _results():
    return [bytes([number]) + _result(*READS[number]) for number in range(len(READS))]


def _event_seeds():
    topics = load("AnchorLog").topic("Anchored") + LOG + ANCHOR.i.to_bytes(32, "big")
    return [topics + encode_anchor_abi(ANCHOR)]


URLS = (
    b"http://127.0.0.1:8545",
    b"https://rpc.example/v1?key=a",
    b"http://[::1]:8545/",
    b"http://a.b-c.example:1/",
)
_WORDS = (b'"result":', b'"error":', b'"code":', b'"data":', b"0x", b"0x" + b"f" * 64, b"null", b"latest")
TARGETS = (
    Target(
        "rpc-answer", "node.chain.transport.decode_answer", _rpc_answer, _rpc_bodies, _NO_MATTER, words=_WORDS
    ),
    Target(
        "rpc", "node.chain.rpc.Rpc, every call against garbage", _rpc, _rpc_bodies, _NO_MATTER, words=_WORDS
    ),
    Target(
        "chain-client",
        "node.chain.evm.EvmChain, every read against a chain that lies",
        _chain_client,
        _scripts,
        _NO_MATTER,
        words=_WORDS,
        largest=16_384,
    ),
    Target(
        "abi-result",
        "node.chain.abi.ContractAbi.decode_result",
        _abi_result,
        _results,
        "offsets and what follows are free in the ABI; nothing is signed over them",
        binary=True,
    ),
    Target(
        "abi-event",
        "node.chain.contracts.parse_anchored",
        _abi_event,
        _event_seeds,
        "as abi-result; the anchor's eight words are one",
        binary=True,
    ),
    Target(
        "abi-reason",
        "node.chain.abi.ContractAbi.describe_reason",
        _abi_reason,
        _reasons,
        "any bytes",
        binary=True,
    ),
    Target(
        "rpc-url",
        "node.chain.transport.parse_rpc_url",
        _rpc_url,
        lambda: list(URLS),
        "RFC 3986; own setting",
        words=(b"@", b"[", b"]", b":0", b":99999", b"." * 3, b"%00", b"a" * 64),
    ),
    Target(
        "network",
        "node.chain.network.parse_network",
        _network,
        lambda: [encode_network(NETWORK), encode_network(NETWORK) + b"\n"],
        "as json; no signature covers it",
    ),
)
