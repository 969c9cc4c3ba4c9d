// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title RFC 6962 §2.1 written down as it is defined, recursively, to hold the contract against
/// @dev Leaves are either given one by one, or all the same: then a tree's hash depends on its size alone, and proofs for
/// trees of any size can be computed without the leaves.
library Trees {
    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), left, right));
    }

    /// @dev Largest power of two less than n, for n > 1.
    function split(uint256 n) internal pure returns (uint256 k) {
        k = 1;
        while (2 * k < n) k *= 2;
    }

    // ------------------------------------------------------------------------------------------ given leaves

    /// @dev `count` leaf hashes that differ from each other and from those of another seed.
    function leaves(uint256 count, uint256 seed) internal pure returns (bytes32[] memory all) {
        all = new bytes32[](count);
        for (uint256 k = 0; k < count; k++) {
            all[k] = sha256(abi.encode(seed, k));
        }
    }

    function root(bytes32[] memory all, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (to - from == 1) return all[from];
        uint256 k = split(to - from);
        return node(root(all, from, from + k), root(all, from + k, to));
    }

    function inclusion(bytes32[] memory all, uint256 index, uint256 from, uint256 to)
        internal
        pure
        returns (bytes32[] memory)
    {
        if (to - from == 1) return new bytes32[](0);
        uint256 k = split(to - from);
        if (index < from + k) return append(inclusion(all, index, from, from + k), root(all, from + k, to));
        return append(inclusion(all, index, from + k, to), root(all, from, from + k));
    }

    function consistency(bytes32[] memory all, uint256 oldSize, uint256 newSize)
        internal
        pure
        returns (bytes32[] memory)
    {
        return _subproof(all, oldSize, 0, newSize, true);
    }

    function _subproof(bytes32[] memory all, uint256 m, uint256 from, uint256 to, bool whole)
        private
        pure
        returns (bytes32[] memory)
    {
        if (m == to - from) {
            bytes32[] memory none = new bytes32[](0);
            return whole ? none : append(none, root(all, from, to));
        }
        uint256 k = split(to - from);
        if (m <= k) return append(_subproof(all, m, from, from + k, whole), root(all, from + k, to));
        return append(_subproof(all, m - k, from + k, to, false), root(all, from, from + k));
    }

    // ------------------------------------------------------------------------------------------ equal leaves

    /// @dev Hashes of the full trees of height 0, 1, 2 … whose leaves are all `leaf`.
    function fullTrees(bytes32 leaf) internal pure returns (bytes32[] memory full) {
        full = new bytes32[](64);
        full[0] = leaf;
        for (uint256 h = 1; h < 64; h++) {
            full[h] = node(full[h - 1], full[h - 1]);
        }
    }

    function uniformRoot(bytes32[] memory full, uint256 size) internal pure returns (bytes32) {
        if (size & (size - 1) == 0) {
            uint256 h = 0;
            while (size > 1) (size, h) = (size / 2, h + 1);
            return full[h];
        }
        uint256 k = split(size);
        return node(uniformRoot(full, k), uniformRoot(full, size - k));
    }

    function uniformConsistency(bytes32[] memory full, uint256 m, uint256 n, bool whole)
        internal
        pure
        returns (bytes32[] memory)
    {
        if (m == n) {
            bytes32[] memory none = new bytes32[](0);
            return whole ? none : append(none, uniformRoot(full, n));
        }
        uint256 k = split(n);
        if (m <= k) return append(uniformConsistency(full, m, k, whole), uniformRoot(full, n - k));
        return append(uniformConsistency(full, m - k, n - k, false), uniformRoot(full, k));
    }

    // ------------------------------------------------------------------------------------------ lists

    function append(bytes32[] memory list, bytes32 last) internal pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        for (uint256 k = 0; k < list.length; k++) {
            longer[k] = list[k];
        }
        longer[list.length] = last;
    }

    function without(bytes32[] memory list) internal pure returns (bytes32[] memory shorter) {
        shorter = new bytes32[](list.length - 1);
        for (uint256 k = 0; k < shorter.length; k++) {
            shorter[k] = list[k];
        }
    }
}
