// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AnchorLog} from "../src/AnchorLog.sol";
import {IAnchorLog} from "../src/interfaces/IAnchorLog.sol";
import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Network} from "./support/Network.sol";
import {Trees} from "./support/Trees.sol";

contract AnchorLogTest is Network {
    bytes32[] internal leaves;
    bytes32 internal logId;

    function setUp() public {
        _deploy(4);
        leaves = Trees.leaves(64, 1);
        logId = _openFirst(1, RECORDS);
    }

    // ------------------------------------------------------------------------------------------ anchors

    function test_firstAnchorStartsAtOpening() public {
        _pass(300);
        IAnchorLog.Anchor memory a =
            IAnchorLog.Anchor(1, 0, START_BLOCK, START_TIME, 5, _root(5), START_BLOCK + 300, START_TIME + 300);
        VM.expectEmit();
        emit IAnchorLog.Anchored(logId, 1, a);
        _anchor(0, 5);
        _assertHead(5, 1, START_BLOCK + 300, START_TIME + 300, _root(5));
        VM.assertEq(log.commitment(logId, 1), keccak256(abi.encode(a)));
    }

    function test_anchorBindsTheOneBefore() public {
        _anchor(0, 5);
        _pass(300);
        IAnchorLog.Anchor memory a =
            IAnchorLog.Anchor(2, 5, START_BLOCK, START_TIME, 19, _root(19), START_BLOCK + 300, START_TIME + 300);
        VM.expectEmit();
        emit IAnchorLog.Anchored(logId, 2, a);
        _anchor(5, 19);
        _assertHead(19, 2, START_BLOCK + 300, START_TIME + 300, _root(19));
        VM.assertEq(log.commitment(logId, 2), keccak256(abi.encode(a)));
    }

    function test_commitmentsStandWhereEvidenceLooksForThem() public {
        _anchor(0, 5);
        bytes32 slot = keccak256(abi.encode(uint256(1), keccak256(abi.encode(logId, uint256(0)))));
        VM.assertEq(VM.load(address(log), slot), log.commitment(logId, 1));
    }

    function testFuzz_everyGrowthIsAccepted(uint256 first, uint256 second, uint256 third) public {
        first = _bound(first, 1, 62);
        second = _bound(second, first + 1, 63);
        third = _bound(third, second + 1, 64);
        _anchor(0, first);
        _anchor(first, second);
        _anchor(second, third);
        (uint64 size, uint64 i,,, bytes32 root) = log.head(logId);
        VM.assertEq(size, third);
        VM.assertEq(i, 3);
        VM.assertEq(root, _root(third));
    }

    function test_firstAnchorWithProofIsRefused() public {
        _refuse(_onlySelector(IAnchorLog.WrongProofLength.selector), 5, _root(5), new bytes32[](1));
    }

    function test_sameOrSmallerSizeIsRefused() public {
        _anchor(0, 5);
        for (uint64 size = 0; size <= 5; size++) {
            bytes memory reason = abi.encodeWithSelector(IAnchorLog.SizeNotGrown.selector, 5, size);
            _refuse(reason, size, _root(5), new bytes32[](0));
        }
    }

    function test_sizeBeyondTheProtocolIsRefused() public {
        uint64 size = 2 ** 53;
        bytes memory reason = abi.encodeWithSelector(IAnchorLog.SizeTooLarge.selector, size);
        _refuse(reason, size, _root(5), new bytes32[](0));
    }

    function testFuzz_rewrittenHistoryIsRefused(uint256 oldSize, uint256 newSize, uint256 which) public {
        newSize = _bound(newSize, 2, 64);
        oldSize = _bound(oldSize, 1, newSize - 1);
        _anchor(0, oldSize);
        leaves[_bound(which, 0, oldSize - 1)] = sha256("rewritten");
        bytes32[] memory proof = Trees.consistency(leaves, oldSize, newSize);
        // A full old tree is taken from the anchored root, so that there the new root is what does not fit.
        bool full = oldSize & (oldSize - 1) == 0;
        bytes4 reason = full ? IAnchorLog.NewRootMismatch.selector : IAnchorLog.OldRootMismatch.selector;
        _refuse(_onlySelector(reason), newSize, _root(newSize), proof);
    }

    function test_otherRootThanTheProofsIsRefused() public {
        _anchor(0, 5);
        _refuse(
            _onlySelector(IAnchorLog.NewRootMismatch.selector), 19, sha256("no root"), Trees.consistency(leaves, 5, 19)
        );
    }

    function testFuzz_proofOfOtherLengthIsRefused(uint256 oldSize, uint256 newSize) public {
        newSize = _bound(newSize, 2, 64);
        oldSize = _bound(oldSize, 1, newSize - 1);
        _anchor(0, oldSize);
        bytes32[] memory proof = Trees.consistency(leaves, oldSize, newSize);
        bytes memory reason = _onlySelector(IAnchorLog.WrongProofLength.selector);
        _refuse(reason, newSize, _root(newSize), Trees.append(proof, proof[0]));
        _refuse(reason, newSize, _root(newSize), Trees.without(proof));
    }

    function test_unknownLogIsRefused() public {
        bytes32 unknown = sha256("unknown");
        bytes32 root = _root(5);
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.UnknownLog.selector, unknown));
        log.anchor(unknown, 5, root, new bytes32[](0));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.UnknownLog.selector, unknown));
        log.head(unknown);
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.UnknownLog.selector, unknown));
        log.logInfo(unknown);
    }

    // ------------------------------------------------------------------------------------------ who

    function test_onlyTheOwnersOperatorKeyAnchors() public {
        address[3] memory others = [_operator(2), _recovery(1), address(this)];
        bytes32 root = _root(5);
        for (uint256 k = 0; k < others.length; k++) {
            VM.prank(others[k]);
            VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, others[k]));
            log.anchor(logId, 5, root, new bytes32[](0));
        }
    }

    function test_suspendedMemberDoesNotAnchorUntilResumed() public {
        bytes memory payload = abi.encode(_code(1));
        _decide(IMemberRegistry.Action.Suspend, payload);
        bytes memory reason = abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, _operator(1));
        _refuse(reason, 5, _root(5), new bytes32[](0));
        VM.prank(_operator(1));
        VM.expectRevert(reason);
        log.openLog(ACCESS, 0, 0);
        _decide(IMemberRegistry.Action.Resume, payload);
        _anchor(0, 5);
    }

    function test_rotatedOperatorKeyAnchorsFromItsTimeOn() public {
        address next = address(0xbeef);
        bytes32 root = _root(9);
        VM.prank(_operator(1));
        registry.rotateOperator(next);
        _pass(24 hours - 1);
        VM.prank(next);
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, next));
        log.anchor(logId, 9, root, new bytes32[](0));
        _anchor(0, 5);
        _pass(1);
        bytes32[] memory proof = Trees.consistency(leaves, 5, 9);
        _refuse(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, _operator(1)), 9, root, proof);
        VM.prank(next);
        log.anchor(logId, 9, root, proof);
    }

    // ------------------------------------------------------------------------------------------ both logs

    function test_anchorBothAnchorsBoth() public {
        bytes32 other = _openFirst(1, ACCESS);
        _anchorBoth(other, [uint64(5), 16], [_root(5), _root(16)], [new bytes32[](0), new bytes32[](0)]);
        _anchorBoth(
            other,
            [uint64(6), 32],
            [_root(6), _root(32)],
            [Trees.consistency(leaves, 5, 6), Trees.consistency(leaves, 16, 32)]
        );
        _assertHead(6, 2, block.number, block.timestamp, _root(6));
        (uint64 size, uint64 i,,, bytes32 root) = log.head(other);
        VM.assertEq(size, 32);
        VM.assertEq(i, 2);
        VM.assertEq(root, _root(32));
    }

    function test_anchorBothAnchorsNoneWhenOneIsRefused() public {
        bytes32 other = _openFirst(1, ACCESS);
        bytes32 root = _root(5);
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.SizeNotGrown.selector, 0, 0));
        _anchorBoth(other, [uint64(5), 0], [root, root], [new bytes32[](0), new bytes32[](0)]);
        _assertHead(0, 0, START_BLOCK, START_TIME, 0);
    }

    function test_anchorBothNeedsTheOwnerOfBoth() public {
        bytes32 other = _openFirst(2, ACCESS);
        bytes32 root = _root(5);
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, _operator(1)));
        _anchorBoth(other, [uint64(5), 5], [root, root], [new bytes32[](0), new bytes32[](0)]);
    }

    // ------------------------------------------------------------------------------------------ inclusion

    function testFuzz_everyEntryIsIncludedInEveryAnchor(uint256 index) public {
        IAnchorLog.Anchor memory first = _anchor(0, 19);
        IAnchorLog.Anchor memory second = _anchor(19, 40);
        index = _bound(index, 0, 18);
        log.verifyInclusion(logId, first, uint64(index), leaves[index], Trees.inclusion(leaves, index, 0, 19));
        log.verifyInclusion(logId, second, uint64(index), leaves[index], Trees.inclusion(leaves, index, 0, 40));
    }

    function test_whatIsNotIncludedIsRefused() public {
        IAnchorLog.Anchor memory a = _anchor(0, 19);
        bytes32[] memory path = Trees.inclusion(leaves, 3, 0, 19);
        _refuseInclusion(_onlySelector(IAnchorLog.NotIncluded.selector), a, 3, leaves[4], path);
        _refuseInclusion(_onlySelector(IAnchorLog.NotIncluded.selector), a, 4, leaves[3], path);
        _refuseInclusion(_onlySelector(IAnchorLog.NotIncluded.selector), a, 3, leaves[3], Trees.without(path));
        _refuseInclusion(_onlySelector(IAnchorLog.NotIncluded.selector), a, 3, leaves[3], Trees.append(path, 0));
        bytes memory beyond = abi.encodeWithSelector(IAnchorLog.IndexOutOfRange.selector, 19, 19);
        _refuseInclusion(beyond, a, 19, leaves[3], path);
    }

    function test_anchorThatWasNotMadeIsRefused() public {
        IAnchorLog.Anchor memory a = _anchor(0, 19);
        bytes32[] memory path = Trees.inclusion(leaves, 3, 0, 19);
        bytes memory reason = abi.encodeWithSelector(IAnchorLog.UnknownAnchor.selector, logId, 1);
        a.time++;
        _refuseInclusion(reason, a, 3, leaves[3], path);
        a.time--;
        a.prevSize++;
        _refuseInclusion(reason, a, 3, leaves[3], path);
        a.prevSize--;
        a.i = 2;
        reason = abi.encodeWithSelector(IAnchorLog.UnknownAnchor.selector, logId, 2);
        _refuseInclusion(reason, a, 3, leaves[3], path);
        a.i = 1;
        log.verifyInclusion(logId, a, 3, leaves[3], path);
    }

    // ------------------------------------------------------------------------------------------ deployment

    function test_domainHasAFixedForm() public {
        string[4] memory bad = ["", "Demo", "a_b", "0123456789012345678901234567890123456789012345678901234567890123"];
        for (uint256 k = 0; k < bad.length; k++) {
            VM.expectRevert(IAnchorLog.MalformedDomain.selector);
            new AnchorLog(registry, bad[k]);
        }
        VM.assertEq(log.domain(), "demo.example");
        VM.assertEq(log.registry(), address(registry));
    }

    // ------------------------------------------------------------------------------------------ inside

    function _root(uint256 size) private view returns (bytes32) {
        return Trees.root(leaves, 0, size);
    }

    function _anchor(uint256 oldSize, uint256 newSize) private returns (IAnchorLog.Anchor memory a) {
        bytes32[] memory proof = oldSize == 0 ? new bytes32[](0) : Trees.consistency(leaves, oldSize, newSize);
        (a.prevSize, a.i, a.prevBlock, a.prevTime,) = log.head(logId);
        a.i++;
        a.size = uint64(newSize);
        a.root = _root(newSize);
        a.block = uint64(block.number);
        a.time = uint64(block.timestamp);
        VM.prank(_operator(1));
        log.anchor(logId, uint64(newSize), a.root, proof);
    }

    function _anchorBoth(bytes32 other, uint64[2] memory sizes, bytes32[2] memory roots, bytes32[][2] memory proofs)
        private
    {
        VM.prank(_operator(1));
        log.anchorBoth([logId, other], sizes, roots, proofs);
    }

    function _refuse(bytes memory reason, uint256 size, bytes32 root, bytes32[] memory proof) private {
        VM.prank(_operator(1));
        VM.expectRevert(reason);
        log.anchor(logId, uint64(size), root, proof);
    }

    function _refuseInclusion(
        bytes memory reason,
        IAnchorLog.Anchor memory a,
        uint64 index,
        bytes32 leafHash,
        bytes32[] memory path
    ) private {
        VM.expectRevert(reason);
        log.verifyInclusion(logId, a, index, leafHash, path);
    }

    function _assertHead(uint256 size, uint256 i, uint256 blockNumber, uint256 time, bytes32 root) private view {
        (uint64 gotSize, uint64 gotI, uint64 gotBlock, uint64 gotTime, bytes32 gotRoot) = log.head(logId);
        VM.assertEq(gotSize, size, "size");
        VM.assertEq(gotI, i, "i");
        VM.assertEq(gotBlock, blockNumber, "block");
        VM.assertEq(gotTime, time, "time");
        VM.assertEq(gotRoot, root, "root");
    }
}
