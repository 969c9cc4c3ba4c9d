// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DocumentRegistry} from "../src/DocumentRegistry.sol";
import {IAnchorLog} from "../src/interfaces/IAnchorLog.sol";
import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Network} from "./support/Network.sol";
import {Trees} from "./support/Trees.sol";

/// @title What transactions cost, whole, registry check included; the figures stand in snapshots/
/// @dev Needs `isolate = true`: every call from a test is then a transaction of its own, with its base cost, its call data
/// and cold slots. Trees of equal leaves stand for any others: a proof has as many hashes and, but for a few zero bytes,
/// costs as much.
contract GasTest is Network {
    uint256 internal constant BUDGET = 100_000;
    uint256 internal constant BUDGET_ANY_GROWTH = 115_000;

    bytes32[] internal full;

    function setUp() public {
        _deploy(20);
        full = Trees.fullTrees(sha256("leaf"));
    }

    function test_anchorByLogSizeAndGrowth() public {
        string[7] memory sizes = ["1e3", "1e4", "1e5", "1e6", "1e7", "1e8", "1e9"];
        for (uint256 k = 0; k < sizes.length; k++) {
            uint256 size = 10 ** (k + 3);
            _within(BUDGET, size, 1, string.concat(sizes[k], " grows by 1"));
            _within(BUDGET, size, 1e3, string.concat(sizes[k], " grows by 1e3"));
            uint256 used = _within(BUDGET, size, 1e5, string.concat(sizes[k], " grows by 1e5"));
            VM.assertLe(used, 1e5, "less than one gas per record at 100,000 per anchor");
            _within(BUDGET, size, 1e6, string.concat(sizes[k], " grows by 1e6"));
        }
    }

    /// @dev The old tree's last index has as many one bits as it can (each costs two hashes) without ending in one (which
    /// would shorten the proof).
    function test_anchorAtItsWorst() public {
        _within(BUDGET, (952 << 20) + 0xfffff, 1e6, "worst below 1e9 grows by 1e6");
        _within(BUDGET, (953 << 20) + 0x7ffff, 1e6, "worst around 1e9 grows by 1e6");
        _within(BUDGET_ANY_GROWTH, 2 ** 29 - 1, 1e9 - 2 ** 29 + 1, "worst old tree grows to 1e9");
        _within(BUDGET_ANY_GROWTH, 2 ** 30 - 1, 1e6, "worst below 2^30 grows by 1e6");
        _within(BUDGET_ANY_GROWTH, 2 ** 30 - 1, 1e9, "worst below 2^30 grows by 1e9");
        _within(BUDGET_ANY_GROWTH, 2 ** 40 - 1, 1e6, "worst below 2^40 grows by 1e6");
    }

    function test_anchorAfterARotation() public {
        bytes32 logId = _anchored(1, 1e9);
        VM.prank(_operator(1));
        registry.rotateOperator(address(0xbeef));
        _pass(24 hours);
        _send(address(0xbeef), logId, 1e9, 1e6);
        _record("1e9 grows by 1e6, operator key rotated", BUDGET);
    }

    function test_firstAnchor() public {
        bytes32 logId = _openFirst(1, RECORDS);
        VM.snapshotValue("other", "openLog", VM.lastCallGas().gasTotalUsed);
        bytes32 root = Trees.uniformRoot(full, 1e5);
        VM.prank(_operator(1));
        log.anchor(logId, 1e5, root, new bytes32[](0));
        _record("first, 1e5 entries", BUDGET);
    }

    function test_anchorBoth() public {
        bytes32[2] memory logIds = [_anchored(1, 1e9), bytes32(0)];
        logIds[1] = _openFirst(1, ACCESS);
        _send(_operator(1), logIds[1], 0, 1e7);
        bytes32[2] memory roots = [Trees.uniformRoot(full, 1e9 + 1e5), Trees.uniformRoot(full, 1e7 + 1e3)];
        bytes32[][2] memory proofs = [
            Trees.uniformConsistency(full, 1e9, 1e9 + 1e5, true), Trees.uniformConsistency(full, 1e7, 1e7 + 1e3, true)
        ];
        VM.prank(_operator(1));
        log.anchorBoth(logIds, [uint64(1e9 + 1e5), 1e7 + 1e3], roots, proofs);
        _record("both, 1e9 grows by 1e5 and 1e7 by 1e3", 2 * BUDGET);
    }

    function test_demandAndAnswer() public {
        bytes32[] memory leaves = Trees.leaves(100, 1);
        bytes32 logId = _openFirst(1, RECORDS);
        bytes32 root = Trees.root(leaves, 0, 100);
        VM.prank(_operator(1));
        log.anchor(logId, 100, root, new bytes32[](0));
        VM.prank(_operator(2));
        log.demand(logId, 7);
        VM.snapshotValue("other", "demand", VM.lastCallGas().gasTotalUsed);
        IAnchorLog.Anchor memory a =
            IAnchorLog.Anchor(1, 0, START_BLOCK, START_TIME, 100, root, START_BLOCK, START_TIME);
        log.answer(logId, a, 7, leaves[7], Trees.inclusion(leaves, 7, 0, 100));
        VM.snapshotValue("other", "answer, path of 7", VM.lastCallGas().gasTotalUsed);
    }

    function test_keysAndVotes() public {
        IMemberRegistry.KeyInput[] memory inputs = new IMemberRegistry.KeyInput[](2);
        inputs[0] = IMemberRegistry.KeyInput(1, sha256("record"), 0, "");
        inputs[1] = IMemberRegistry.KeyInput(2, sha256("node"), 0, "");
        VM.prank(_operator(1));
        registry.registerKeys(inputs);
        VM.snapshotValue("other", "registerKeys, two", VM.lastCallGas().gasTotalUsed);
        uint64 id = _propose(1, IMemberRegistry.Action.Suspend, abi.encode(_code(2)));
        VM.snapshotValue("other", "propose", VM.lastCallGas().gasTotalUsed);
        for (uint256 number = 3; number <= 15; number++) {
            _vote(number, id);
        }
        VM.snapshotValue("other", "vote that decides, 14 of 20", VM.lastCallGas().gasTotalUsed);
        VM.assertTrue(registry.proposal(id).executed);
    }

    function test_documentsAndEndpoints() public {
        VM.prank(_operator(1));
        registry.setEndpoint("https://node.court.example:8620", keccak256("key"));
        VM.snapshotValue("other", "setEndpoint, first", VM.lastCallGas().gasTotalUsed);
        _deploy(1);
        DocumentRegistry documents = new DocumentRegistry(registry);
        for (uint32 version = 1; version <= 2; version++) {
            bytes memory data = abi.encode("item", "penalty:2018", version, keccak256("document"), uint64(0));
            _propose(1, IMemberRegistry.Action.Resolve, abi.encode(address(documents), data));
            string memory what = version == 1 ? "first version" : "next version";
            VM.snapshotValue("other", string.concat("document, ", what, ", sole member"), VM.lastCallGas().gasTotalUsed);
        }
    }

    // ------------------------------------------------------------------------------------------ inside

    function _within(uint256 budget, uint256 size, uint256 growth, string memory name) private returns (uint256) {
        bytes32 logId = _anchored(1, size);
        _send(_operator(1), logId, size, growth);
        return _record(name, budget);
    }

    function _record(string memory name, uint256 budget) private returns (uint256 used) {
        used = VM.lastCallGas().gasTotalUsed;
        VM.snapshotValue("anchor", name, used);
        VM.assertLe(used, budget, name);
    }

    /// @dev The member's records log, at a size: closed and succeeded by a new one when it has been used already.
    function _anchored(uint256 number, uint256 size) private returns (bytes32 logId) {
        bytes32 last = log.lastLog(_code(number), RECORDS);
        uint32 n = 0;
        if (last != 0) {
            n = log.logInfo(last).n + 1;
            VM.prank(_operator(number));
            log.closeLog(last);
            _pass(24 hours);
        }
        VM.prank(_operator(number));
        logId = log.openLog(RECORDS, n, last);
        _send(_operator(number), logId, 0, size);
        _pass(300);
    }

    function _send(address operator, bytes32 logId, uint256 size, uint256 growth) private {
        bytes32 root = Trees.uniformRoot(full, size + growth);
        bytes32[] memory proof = new bytes32[](0);
        if (size != 0) proof = Trees.uniformConsistency(full, size, size + growth, true);
        VM.prank(operator);
        log.anchor(logId, uint64(size + growth), root, proof);
    }
}
