# SPDX-License-Identifier: Apache-2.0
"""A policy for a chain whose blocks validators sign."""

import json
import shutil

from tests.support.real_node import ironcage, real_nodes


def test_validators_of_other_engines_are_named_by_hand(real_chain, tmp_path):
    """The same chain under the name of an engine whose blocks validators sign."""
    with real_nodes(real_chain.url, tmp_path) as (market,):
        market.start()
        home, out = tmp_path / "qbft", tmp_path / "qbft.policy.json"
        home.mkdir()
        shutil.copy(market.home / "config.toml", home)
        network = json.loads((market.home / "network.json").read_text())
        network["chain"]["engine"] = "qbft"
        (home / "network.json").write_text(json.dumps(network))
        words = (
            "policy",
            "export",
            "--node",
            json.loads((market.home / "run" / "node.json").read_bytes())["url"],
            "-o",
            out,
        )
        addresses = [f"0x{n:040x}" for n in (1, 2, 3, 4)]
        refused = ironcage(*words, home=home)
        assert (refused.code, "[policy-validators]" in refused.err) == (2, True)
        made = ironcage(*words, *(w for address in addresses for w in ("--validator", address)), home=home)
        assert made.code == 0, made
        assert json.loads(out.read_text())["chain"]["validators"] == addresses
        wrong = ironcage(*words, "--validator", "0x12", home=home)
        assert (wrong.code, "[address]" in wrong.err) == (2, True)
        anvil = market.run("policy", "export", "--validator", addresses[0], "-o", out)
        assert (anvil.code, "[policy-validators]" in anvil.err) == (2, True)
