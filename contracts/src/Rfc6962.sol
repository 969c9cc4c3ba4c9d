// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title RFC 6962 proofs over SHA-256, verified with the precompile
/// @notice Positional and strict: the number of hashes follows from the positions, and a proof with one more or one
/// less is malformed.
/// @dev Both functions walk from the entry (the old tree's last one) to the root. While the walk and the new tree's last
/// entry lie in different subtrees (`position != last`) every level has a sibling, on the side that the position's lowest
/// bit tells. From where they meet, only the one bits of the position still have one, always on the left.
library Rfc6962 {
    /// @notice Follow a consistency proof from a non-empty old tree.
    /// @param oldSize Size of the old tree, at least 1.
    /// @param newSize Size of the new tree, greater than `oldSize`.
    /// @param oldRoot Root of the old tree; it starts the proof when the old tree is a full one (RFC 6962 §2.1.2).
    /// @param proof The proof.
    /// @return wellFormed Whether the proof has the length that the sizes demand; if not, the roots mean nothing.
    /// @return oldComputed Root of the old tree according to the proof.
    /// @return newComputed Root of the new tree according to the proof.
    function consistencyRoots(uint64 oldSize, uint64 newSize, bytes32 oldRoot, bytes32[] calldata proof)
        internal
        view
        returns (bool wellFormed, bytes32 oldComputed, bytes32 newComputed)
    {
        // Two preimages, `0x01 ‖ left ‖ right`, stand in memory beyond the allocated part: the old tree's at `o`, the new
        // one's at `w`, each as prefix in the last byte of word 0, left in word 1, right in word 2. Hashes are written to
        // `right`, where the next level wants them when its sibling is on the left; that saves most of the copying in the
        // loop that decides what an anchor costs.
        assembly ("memory-safe") {
            let o := mload(0x40)
            let w := add(o, 0x60)
            mstore(o, 1)
            mstore(w, 1)

            let position := sub(oldSize, 1)
            let apart := xor(position, sub(newSize, 1))
            let next := proof.offset

            // 1. Climb to the largest full subtree that ends the old tree: the proof begins there.
            for {} and(position, 1) {} {
                position := shr(1, position)
                apart := shr(1, apart)
            }
            // 2. Its root is the first hash, unless it is the whole old tree, whose root is known.
            let start := oldRoot
            if position {
                start := calldataload(next)
                next := add(next, 0x20)
            }
            mstore(add(o, 0x40), start)
            mstore(add(w, 0x40), start)

            // 3. A sibling on each level, until the two trees' right edges meet.
            wellFormed := 1
            for {} apart {} {
                let sibling := calldataload(next)
                switch and(position, 1)
                case 0 {
                    mstore(add(w, 0x20), mload(add(w, 0x40)))
                    mstore(add(w, 0x40), sibling)
                }
                default {
                    mstore(add(o, 0x20), sibling)
                    mstore(add(w, 0x20), sibling)
                    wellFormed := and(staticcall(gas(), 2, add(o, 0x1f), 0x41, add(o, 0x40), 0x20), wellFormed)
                }
                wellFormed := and(staticcall(gas(), 2, add(w, 0x1f), 0x41, add(w, 0x40), 0x20), wellFormed)
                next := add(next, 0x20)
                position := shr(1, position)
                apart := shr(1, apart)
            }
            // 4. A left sibling for each one bit that remains; each step clears the lowest.
            for {} position {} {
                let sibling := calldataload(next)
                mstore(add(o, 0x20), sibling)
                mstore(add(w, 0x20), sibling)
                wellFormed := and(staticcall(gas(), 2, add(o, 0x1f), 0x41, add(o, 0x40), 0x20), wellFormed)
                wellFormed := and(staticcall(gas(), 2, add(w, 0x1f), 0x41, add(w, 0x40), 0x20), wellFormed)
                next := add(next, 0x20)
                position := and(position, sub(position, 1))
            }
            // 5. All of the proof was read, and nothing beyond it.
            wellFormed := and(wellFormed, eq(next, add(proof.offset, shl(5, proof.length))))
            oldComputed := mload(add(o, 0x40))
            newComputed := mload(add(w, 0x40))
        }
    }

    /// @notice Follow an inclusion proof.
    /// @param index Index of the entry, less than `size`.
    /// @param size Size of the tree.
    /// @param leafHash Leaf hash of the entry.
    /// @param path The proof.
    /// @return wellFormed Whether the proof has the length that index and size demand; if not, the root means nothing.
    /// @return root Root of the tree according to the proof.
    function inclusionRoot(uint64 index, uint64 size, bytes32 leafHash, bytes32[] calldata path)
        internal
        pure
        returns (bool wellFormed, bytes32 root)
    {
        uint256 position = index;
        uint256 last = size - 1;
        uint256 k = 0;
        root = leafHash;
        for (; position != last; (position >>= 1, last >>= 1)) {
            if (k == path.length) return (false, root);
            root = position & 1 == 0 ? _node(root, path[k++]) : _node(path[k++], root);
        }
        for (; position != 0; position &= position - 1) {
            if (k == path.length) return (false, root);
            root = _node(path[k++], root);
        }
        wellFormed = k == path.length;
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), left, right));
    }
}
