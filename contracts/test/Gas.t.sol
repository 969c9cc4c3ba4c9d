// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Network} from "./support/Network.sol";
import {Trees} from "./support/Trees.sol";

/// @title What an anchor costs, whole transaction, registry check included
/// @dev Needs `isolate = true`: every call from a test is then a transaction of its own, with its base cost, its call data
/// and cold slots.
contract GasTest is Network {
    uint256 internal constant BUDGET = 100_000;
    uint256 internal constant BUDGET_ANY = 115_000;

    bytes32[] internal full;
    bytes32 internal logId;

    function setUp() public {
        _deploy(3);
        full = Trees.fullTrees(sha256("leaf"));
        logId = _openFirst(1, RECORDS);
    }

    function test_base() public {
        uint256 g = _measure(logId, 1, 1, "x");
        VM.assertEq(g, 0);
    }

    function test_b4() public {
        uint256 g = _measure(logId, 16, 1, "x");
        VM.assertEq(g, 0);
    }

    function test_try() public {
        uint256 g = _measure(logId, 1e9, 1e6, "x");
        VM.assertEq(g, 0);
    }

    function test_worst() public {
        uint256 g = _measure(logId, 2 ** 30 - 1, 1e6, "x");
        VM.assertEq(g, 0);
    }

    function _measure(bytes32 id, uint256 size, uint256 growth, string memory name) internal returns (uint256 used) {
        bytes32[] memory none = new bytes32[](0);
        bytes32 oldRoot = Trees.uniformRoot(full, size);
        bytes32 newRoot = Trees.uniformRoot(full, size + growth);
        bytes32[] memory proof = Trees.uniformConsistency(full, size, size + growth, true);
        VM.prank(_operator(1));
        log.anchor(id, uint64(size), oldRoot, none);
        _pass(300);
        VM.prank(_operator(1));
        log.anchor(id, uint64(size + growth), newRoot, proof);
        used = VM.lastCallGas().gasTotalUsed;
        VM.snapshotValue("anchor", name, used);
    }
}
