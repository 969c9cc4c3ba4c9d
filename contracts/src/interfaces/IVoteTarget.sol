// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What a contract implements to be driven by votes that pass in the MemberRegistry
interface IVoteTarget {
    /// @notice Carry out what the governing members decided.
    /// @dev Called by the registry in the transaction of the deciding vote. Implementations accept no other caller.
    /// @param proposalId The proposal that passed.
    /// @param data What was voted on, in the target's own encoding.
    function onVote(uint64 proposalId, bytes calldata data) external;
}
