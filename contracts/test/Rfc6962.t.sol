// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Rfc6962} from "../src/Rfc6962.sol";
import {Base} from "./support/Base.sol";
import {Trees} from "./support/Trees.sol";

contract Rfc6962Harness {
    function consistency(uint64 oldSize, uint64 newSize, bytes32 oldRoot, bytes32[] calldata proof)
        external
        view
        returns (bool, bytes32, bytes32)
    {
        return Rfc6962.consistencyRoots(oldSize, newSize, oldRoot, proof);
    }

    function inclusion(uint64 index, uint64 size, bytes32 leafHash, bytes32[] calldata path)
        external
        pure
        returns (bool, bytes32)
    {
        return Rfc6962.inclusionRoot(index, size, leafHash, path);
    }
}

contract Rfc6962Test is Base {
    uint256 internal constant MOST_LEAVES = 70;

    Rfc6962Harness internal rfc;

    function setUp() public {
        rfc = new Rfc6962Harness();
    }

    function testFuzz_consistencyOfEveryPairHolds(uint256 oldSize, uint256 newSize, uint256 seed) public view {
        (oldSize, newSize) = _sizes(oldSize, newSize);
        bytes32[] memory all = Trees.leaves(newSize, seed);
        _assertConsistency(oldSize, newSize, all, Trees.consistency(all, oldSize, newSize), true);
    }

    function testFuzz_consistencyProofOfOtherHashesFails(uint256 oldSize, uint256 newSize, uint256 which, uint256 flip)
        public
        view
    {
        (oldSize, newSize) = _sizes(oldSize, newSize);
        bytes32[] memory all = Trees.leaves(newSize, 1);
        bytes32[] memory proof = Trees.consistency(all, oldSize, newSize);
        which = _bound(which, 0, proof.length - 1);
        proof[which] = bytes32(uint256(proof[which]) ^ (1 << _bound(flip, 0, 255)));
        _assertConsistency(oldSize, newSize, all, proof, false);
    }

    function testFuzz_consistencyProofOfOtherLengthIsMalformed(uint256 oldSize, uint256 newSize) public view {
        (oldSize, newSize) = _sizes(oldSize, newSize);
        bytes32[] memory all = Trees.leaves(newSize, 1);
        bytes32[] memory proof = Trees.consistency(all, oldSize, newSize);
        bytes32 oldRoot = Trees.root(all, 0, oldSize);
        (bool longer,,) = rfc.consistency(uint64(oldSize), uint64(newSize), oldRoot, Trees.append(proof, proof[0]));
        (bool shorter,,) = rfc.consistency(uint64(oldSize), uint64(newSize), oldRoot, Trees.without(proof));
        VM.assertFalse(longer, "longer");
        VM.assertFalse(shorter, "shorter");
    }

    function testFuzz_consistencyForOtherSizesFails(
        uint256 oldSize,
        uint256 newSize,
        uint256 otherOld,
        uint256 otherNew
    ) public view {
        (oldSize, newSize) = _sizes(oldSize, newSize);
        (otherOld, otherNew) = _sizes(otherOld, otherNew);
        VM.assume(otherOld != oldSize);
        bytes32[] memory all = Trees.leaves(newSize, 1);
        bytes32[] memory proof = Trees.consistency(all, oldSize, newSize);
        _assertConsistency(otherOld, otherNew, Trees.leaves(otherNew, 1), proof, false);
    }

    function testFuzz_rewrittenLeafBreaksConsistency(uint256 oldSize, uint256 newSize, uint256 which) public view {
        (oldSize, newSize) = _sizes(oldSize, newSize);
        bytes32[] memory all = Trees.leaves(newSize, 1);
        bytes32 oldRoot = Trees.root(all, 0, oldSize);
        all[_bound(which, 0, oldSize - 1)] = bytes32(uint256(7));
        bytes32[] memory proof = Trees.consistency(all, oldSize, newSize);
        (bool wellFormed, bytes32 oldComputed, bytes32 newComputed) =
            rfc.consistency(uint64(oldSize), uint64(newSize), oldRoot, proof);
        bool holds = wellFormed && oldComputed == oldRoot && newComputed == Trees.root(all, 0, newSize);
        VM.assertFalse(holds);
    }

    function testFuzz_consistencyOfLargeTreesHolds(uint256 oldSize, uint256 growth) public view {
        oldSize = _bound(oldSize, 1, 2 ** 53 - 2);
        growth = _bound(growth, 1, 2 ** 53 - 1 - oldSize);
        bytes32[] memory full = Trees.fullTrees(sha256("leaf"));
        bytes32 oldRoot = Trees.uniformRoot(full, oldSize);
        bytes32[] memory proof = Trees.uniformConsistency(full, oldSize, oldSize + growth, true);
        (bool wellFormed, bytes32 oldComputed, bytes32 newComputed) =
            rfc.consistency(uint64(oldSize), uint64(oldSize + growth), oldRoot, proof);
        VM.assertTrue(wellFormed);
        VM.assertEq(oldComputed, oldRoot);
        VM.assertEq(newComputed, Trees.uniformRoot(full, oldSize + growth));
    }

    function testFuzz_inclusionOfEveryEntryHolds(uint256 index, uint256 size, uint256 seed) public view {
        size = _bound(size, 1, MOST_LEAVES);
        index = _bound(index, 0, size - 1);
        bytes32[] memory all = Trees.leaves(size, seed);
        bytes32[] memory path = Trees.inclusion(all, index, 0, size);
        (bool wellFormed, bytes32 root) = rfc.inclusion(uint64(index), uint64(size), all[index], path);
        VM.assertTrue(wellFormed);
        VM.assertEq(root, Trees.root(all, 0, size));
    }

    function testFuzz_inclusionOfAnotherEntryFails(uint256 index, uint256 other, uint256 size) public view {
        size = _bound(size, 2, MOST_LEAVES);
        index = _bound(index, 0, size - 1);
        other = _bound(other, 0, size - 1);
        VM.assume(other != index);
        bytes32[] memory all = Trees.leaves(size, 1);
        bytes32[] memory path = Trees.inclusion(all, index, 0, size);
        bytes32 root = Trees.root(all, 0, size);
        (bool wellFormed, bytes32 computed) = rfc.inclusion(uint64(index), uint64(size), all[other], path);
        VM.assertTrue(wellFormed);
        VM.assertFalse(computed == root, "another leaf at the index");
        (wellFormed, computed) = rfc.inclusion(uint64(other), uint64(size), all[index], path);
        VM.assertFalse(wellFormed && computed == root, "the leaf at another index");
    }

    function testFuzz_inclusionPathOfOtherLengthIsMalformed(uint256 index, uint256 size) public view {
        size = _bound(size, 2, MOST_LEAVES);
        index = _bound(index, 0, size - 1);
        bytes32[] memory all = Trees.leaves(size, 1);
        bytes32[] memory path = Trees.inclusion(all, index, 0, size);
        (bool longer,) = rfc.inclusion(uint64(index), uint64(size), all[index], Trees.append(path, path[0]));
        (bool shorter,) = rfc.inclusion(uint64(index), uint64(size), all[index], Trees.without(path));
        VM.assertFalse(longer, "longer");
        VM.assertFalse(shorter, "shorter");
    }

    /// @dev The verifier writes beyond the allocated memory; what is allocated must stay as it is.
    function test_consistencyLeavesMemoryAlone() public view {
        bytes32[] memory all = Trees.leaves(7, 1);
        bytes32[] memory proof = Trees.consistency(all, 3, 7);
        this.callWithMemory(Trees.root(all, 0, 3), proof);
    }

    function callWithMemory(bytes32 oldRoot, bytes32[] calldata proof) external view {
        bytes memory before = "allocated before the call";
        (bool wellFormed,,) = Rfc6962.consistencyRoots(3, 7, oldRoot, proof);
        bytes memory later = new bytes(256);
        VM.assertTrue(wellFormed);
        VM.assertEq(keccak256(before), keccak256("allocated before the call"));
        VM.assertEq(keccak256(later), keccak256(new bytes(256)));
    }

    function _assertConsistency(
        uint256 oldSize,
        uint256 newSize,
        bytes32[] memory all,
        bytes32[] memory proof,
        bool wanted
    ) private view {
        bytes32 oldRoot = Trees.root(all, 0, oldSize);
        (bool wellFormed, bytes32 oldComputed, bytes32 newComputed) =
            rfc.consistency(uint64(oldSize), uint64(newSize), oldRoot, proof);
        bool holds = wellFormed && oldComputed == oldRoot && newComputed == Trees.root(all, 0, newSize);
        VM.assertTrue(holds == wanted, "consistency");
    }

    function _sizes(uint256 oldSize, uint256 newSize) private pure returns (uint256, uint256) {
        newSize = _bound(newSize, 2, MOST_LEAVES);
        return (_bound(oldSize, 1, newSize - 1), newSize);
    }
}
