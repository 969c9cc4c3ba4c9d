# SPDX-License-Identifier: Apache-2.0
"""Several nodes in this process that ask each other: real services, a chain in memory, envelopes carried by hand.

``Post`` carries an envelope from one node to another, and everything that can happen to one on its way: it is lost,
late, changed, sent twice, answered by somebody else.
"""

from __future__ import annotations

from concurrent.futures import Future
from hashlib import sha256
from importlib import resources

from consortium.samples.codes import build_uscc
from node.access.answer import parse_answer
from node.access.box import MAX_ANSWER_BYTES, encode_envelope, open_answer, parse_envelope, seal_request
from node.access.catalogue import ListedItem, encode_catalogue
from node.access.event import parse_entry
from node.access.opening import parse_opening
from node.access.purposes import load_sample_purposes
from node.access.question import parse_items, parse_subject
from node.access.request import build_request
from node.core.encoding import encode_b64u
from node.crypto.hpke import ExchangeKey
from node.crypto.note import parse_vkey
from node.crypto.token import token_digest
from node.errors import Conflict, Fatal, NodeError, Unavailable
from node.log.checkpoint import parse_origin
from node.ports import Endpoint, Role
from node.service.assembly import ExchangePorts
from node.service.documents import CATALOGUE, PURPOSES
from node.service.drafting import EventDraft, Officer
from node.service.exchange.orders import Order
from node.service.layout import LogKind
from node.service.looking import _MINT, Look
from tests.support.chain import SimulatedChain
from tests.support.clock import ManualClock
from tests.support.node_world import DOMAIN, NodeWorld, build_identity, seed_of
from tests.support.rows import COMPANY, ISSUER, PENALTY, PERMIT

COURT, MARKET, TAX = (build_uscc("11", "520100", f"007{n:05d}") for n in (1, 2, 3))
"""Asks; answers; answers, too."""
ROLES = {COURT: Role.CONSUMER, MARKET: Role.ISSUER, TAX: Role.ISSUER}
VCT = {item.key: f"urn:ironcage:{DOMAIN}:{item.key}" for item in (PENALTY, PERMIT)}
FIELDS = ("CF_CFLB", "CF_NR", "CF_WSH")
OFFICER = Officer("li")
assert ISSUER not in (COURT, MARKET, TAX)


def read_item(item):
    """The file of a built-in catalogue item."""
    name = item.key.replace(":", "-")
    return resources.files("node.records").joinpath("items", f"{name}.json").read_bytes()


class Files:
    """Keeps fork proofs; implements ``node.ports.witnesses.ForkFiles``."""

    def __init__(self):
        self.files = {}

    def store(self, name, data):
        self.files[name] = data
        return name


class Sources:
    """Keys and tiles of the others' logs; implements ``node.ports.witnesses.LogSources``."""

    def __init__(self, world):
        self._world = world

    def find_vkeys(self, origin):
        parsed = parse_origin(origin)
        node = self._world.nodes.get(parsed.member)
        if node is None:
            return ()
        kind = LogKind.RECORDS if parsed.kind == "records" else LogKind.ACCESS
        return tuple(map(parse_vkey, node.services.public_keys.logs[kind]))

    def open_tiles(self, origin, size):
        parsed = parse_origin(origin)
        kind = LogKind.RECORDS if parsed.kind == "records" else LogKind.ACCESS
        return self._world.nodes[parsed.member].services.readers[kind].tiles


class Post:
    """Carries envelopes in the caller's thread; implements ``node.ports.peers.Peers``.

    Attributes:
        sent: (address, body) of every envelope that was sent.
        answers: Every body that came back.
        away: Members whose nodes do not answer.
        on_request: Called with the body before it arrives, gives the body that arrives, or raises.
        on_answer: The same for the answer.
        tried: How often a deposit or revocation was sent, whoever was away.
        deposits: (body, answer) of every deposit that a regulator answered.
        on_deposit: As ``on_request``, of deposits.
        on_deposited: As ``on_answer``, of what a regulator answers.
        revocations: (body, answer) of every revocation that a provider answered.
        on_revocation: As ``on_request``, of revocations.
        on_revoked: As ``on_answer``, of what a provider answers to them.
    """

    def __init__(self, world):
        self._world = world
        self.sent = []
        self.answers = []
        self.away = set()
        self.tried = 0
        self.deposits = []
        self.on_request = lambda body: body
        self.on_deposit = lambda body: body
        self.on_deposited = lambda body: body
        self.revocations = []
        self.on_revocation = lambda body: body
        self.on_revoked = lambda body: body
        self.on_answer = lambda body: body

    def send(self, address, body):
        """Hand a question to a provider's node, as its route does."""
        self.sent.append((address, body))
        return self._carry(
            address.member,
            lambda: self.on_answer(self._answer(address.member, self.on_request(body))),
        )

    def deposit(self, address, body):
        """Hand a deposit to a regulator's node, as its route does."""
        self.tried += 1
        return self._carry(
            address.member,
            lambda: self.on_deposited(self._take(address.member, self.on_deposit(body))),
        )

    def revoke(self, address, body):
        """Hand a revocation to a provider's node, as its route does."""
        self.tried += 1
        return self._carry(
            address.member,
            lambda: self.on_revoked(
                self._revoke(address.member, self.on_revocation(body)),
            ),
        )

    def _answer(self, member, body):
        answer = self.deliver(member, body)
        self.answers.append(answer)
        return answer

    def _revoke(self, member, body):
        answer = self._world.exchanges[member].revocations.take(body)
        self.revocations.append((body, answer))
        return answer

    def _take(self, member, body):
        answer = self._world.exchanges[member].depository.take(body)
        self.deposits.append((body, answer))
        return answer

    def _carry(self, member, call):
        future = Future()
        try:
            if member in self.away:
                raise Unavailable("peer-away", f"no answer from {member}")
            future.set_result(call())
        except Unavailable as error:
            future.set_exception(error)
        except NodeError as error:
            # What the route and the client make of it.
            future.set_exception(Conflict("peer-refused", f"took no notice of the message: {error.code}"))
        except Exception as error:  # noqa: BLE001 - what a test made happen
            future.set_exception(error)
        return future

    def deliver(self, member, body):
        """Hand a body to a member's node, as its route does."""
        return self._world.exchanges[member].provider.answer(body)


def crash(node, number, *, stored):
    """Have a commit of a node fail, the next one or a later, with its batch stored or not."""
    node.store.faults[node.store.commits + number] = (Fatal("store-commit-failed", "power cut"), stored)


class ExchangeWorld:
    """A court that asks, a market regulator and a tax office that answer. Use as a context manager."""

    def __init__(self, members=(COURT, MARKET, TAX), roles=ROLES):
        self.clock = ManualClock()
        founders = [(code, build_identity(code).operator, roles.get(code, Role.ISSUER)) for code in members]
        self.chain = SimulatedChain(founders, clock=self.clock)
        self.post = Post(self)
        self.files = {code: Files() for code in members}
        self.nodes = {}
        for code in members:
            ports = ExchangePorts(self.post, Sources(self), self.files[code])
            self.nodes[code] = NodeWorld(
                member=code, chain=self.chain, clock=self.clock, seed=code, exchanges=ports
            )
            self._register(code)
        self._decide_documents()
        self.anchor()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for node in self.nodes.values():
            node.close()

    def _register(self, code):
        """Join the chain, and say there where the node is reached."""
        node = self.nodes[code]
        node.join()
        client = self.chain.client(node.identity.operator)
        endpoint = Endpoint("https://node.example", seed_of(code, "tls"))
        client.send(client.sign_set_endpoint(endpoint, client.next_nonce()).raw)

    def _decide_documents(self):
        """Have the members decide on purposes and catalogue, and every node get them."""
        files = {item.key: read_item(item) for item in (PENALTY, PERMIT)}
        first, *others = self.nodes.values()
        listed = [
            ListedItem(key, sha256(data).digest(), first.identity.member, None) for key, data in files.items()
        ]
        catalogue = encode_catalogue(DOMAIN, "目录", "catalogue", listed)
        for kind, data in ((PURPOSES, load_sample_purposes()), (CATALOGUE, catalogue)):
            for node in self.nodes.values():
                for each in (data, *files.values()):
                    node.services.documents.add(each)
            proposal = first.services.documents.propose(*kind, sha256(data).digest(), sleep=first.sleep)
            for node in others:
                if not node.services.documents.find_proposal(proposal.id).executed:
                    node.services.documents.vote(proposal.id, sleep=node.sleep)
        for node in self.nodes.values():
            node.services.documents.refresh()

    @staticmethod
    def exchange_key(code):
        return ExchangeKey(seed_of(code, "exchange"))

    @property
    def exchanges(self):
        """Both sides of each node's exchanges, by member."""
        return {code: node.services.exchange for code, node in self.nodes.items()}

    @property
    def rejects(self):
        """Messages that no member signed, by the member that was sent them."""
        return {code: one.provider._count_reject.__self__.count for code, one in self.exchanges.items()}

    # ---- what a day brings

    def restart(self, code):
        """What a crash of one node and its new start leave."""
        self.nodes[code].restart()
        self.nodes[code].join()
        self.nodes[code].services.documents.refresh()

    def anchor(self, *codes):
        for code in codes or self.nodes:
            self.nodes[code].anchor()

    def order(self, **changes):
        """A question that the sample purposes allow."""
        question = {
            "officer": OFFICER,
            "subject_type": "uscc",
            "subject_id": COMPANY,
            "fields": {VCT["penalty:2018"]: FIELDS},
            "purpose": "pre-listing",
            "basis": "enforcement-publicity",
            "case": "2026-执-17",
            "providers": (MARKET,),
        }
        return Order(**question | changes)

    def ask(self, *, by=COURT, **changes):
        return self.exchanges[by].asker.ask(self.order(**changes))

    def ask_one(self, **changes):
        (outcome,) = self.ask(**changes)
        return outcome

    # ---- what somebody does who holds a member's keys and writes his own program

    def sign_request(self, *, by=COURT, to=MARKET, ask=None, **changes):
        """Log an ask and sign a request by hand; gives the request's JWS and its reply key.

        Args:
            by: Who asks.
            to: Who is asked.
            ask: Values of the ask event that differ from the request's.
            changes: Members of the request that are not as they should be.
        """
        node = self.nodes[by]
        said = {
            "subject": {"type": "uscc", "id": COMPANY},
            "items": [{"vct": VCT["penalty:2018"], "fields": list(FIELDS)}],
            "purpose": "pre-listing",
            "basis": "enforcement-publicity",
            "case": "2026-执-17",
        }
        said |= {name: changes.pop(name) for name in said.keys() & changes.keys()}
        consent = changes.get("consent")
        digest = None if consent is None else encode_b64u(token_digest(consent))
        rid = changes.get("rid") or node.random(16)
        event = {"peer": to, "officer": OFFICER, "rule": "own", "consent": digest, "rid": rid} | said
        logged = node.services.access.log(EventDraft(**({"kind": "ask"} | event | (ask or {}))))
        reply = ExchangeKey.generate(node.random)
        now = self.clock.now_seconds()
        request = {
            "iat": now,
            "exp": now + 120,
            "rid": rid,
            "subject": parse_subject(said["subject"]),
            "items": parse_items(said["items"]),
            "purpose": said["purpose"],
            "basis": said["basis"],
            "case": said["case"],
            "reply": reply.public,
            "ask": logged.to_show(),
            "checkpoint": node.access.find_checkpoint()[1],
            "iss": by,
            "aud": to,
            "signer": node.keys.node,
        }
        return build_request(**(request | changes))[0], reply

    def seal(self, token, *, by=COURT, to=MARKET):
        """Put a signed request into an envelope."""
        return encode_envelope(seal_request(token, public=self.exchange_key(to).public, from_=by, to=to))

    def open(self, body, token, reply):
        """Open the answer to a request that was signed by hand."""
        envelope = parse_envelope(body, max_plaintext_bytes=MAX_ANSWER_BYTES)
        return parse_answer(open_answer(envelope, reply, req=token_digest(token)))

    def ask_by_hand(self, *, by=COURT, to=MARKET, **changes):
        """Sign, seal and send a request by hand, and open its answer."""
        token, reply = self.sign_request(by=by, to=to, **changes)
        return self.open(self.post.deliver(to, self.seal(token, by=by, to=to)), token, reply)

    # ---- what a test looks at

    def events(self, code, *kinds):
        """The parsed events of a node's access log, of some kinds, with their indices."""
        reader = self.nodes[code].access
        found = [(index, parse_entry(reader.entry(row))) for index, row in reader.rows(0, reader.size())]
        return [
            (index, event)
            for index, event in found
            if hasattr(event, "digests") and (not kinds or event.kind in kinds)
        ]

    def kinds(self, code):
        return [event.kind for _, event in self.events(code)]

    def values(self, code, index):
        """The ten values of an event, as only its own node knows them: opened with a look that a test may make."""
        place = self.nodes[code].access.place(index)
        look = Look(index, {}, frozenset({place}), _MINT)
        return dict(map(parse_opening, self.nodes[code].services.records._vault.open_event(look, place)))
