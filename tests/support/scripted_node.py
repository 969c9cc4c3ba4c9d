# SPDX-License-Identifier: Apache-2.0
"""A chain node that answers what a test tells it to, as a ``Transport``."""

from __future__ import annotations

from node.chain.rpc import Rpc


class RpcFault(Exception):
    """An answer with ``error`` in place of ``result``."""

    def __init__(self, code, message, data=None):
        super().__init__(message)
        self.answer = {"code": code, "message": message}
        if data is not None:
            self.answer["data"] = data


class ScriptedNode:
    """Answers by method: a value, a list of values used up one by one, a function of the params, or a fault."""

    place = "scripted:1"

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    @property
    def rpc(self):
        return Rpc(self)

    def request(self, method, params):
        self.calls.append((method, list(params)))
        answer = self.answers[method]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer(*params)
        if isinstance(answer, RpcFault):
            return {"jsonrpc": "2.0", "id": 1, "error": answer.answer}
        if isinstance(answer, Exception):
            raise answer
        return {"jsonrpc": "2.0", "id": 1, "result": answer}

    def close(self):
        self.calls.append(("close", []))
