// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IVoteTarget} from "./IVoteTarget.sol";

/// @title The rules that all members share, by digest: which document of a kind and name holds from which block on
/// @notice Versions are put by vote of the governing members (IMemberRegistry.Action.Resolve) and never changed or
/// removed afterwards. The documents themselves travel between nodes; here stands only what they must hash to.
interface IDocumentRegistry is IVoteTarget {
    // ------------------------------------------------------------------------------------------------- values

    /// @notice One version of a document.
    /// @param digest SHA-256 of its bytes; zero: from `sinceBlock` on there is no document of this name.
    /// @param sinceBlock First block in which it holds; never less than that of the version before.
    /// @param decidedBlock Block of the deciding vote.
    /// @param proposalId The proposal that passed.
    struct Version {
        bytes32 digest;
        uint64 sinceBlock;
        uint64 decidedBlock;
        uint64 proposalId;
    }

    /// @notice A document by its name, with how many versions it has.
    /// @param kind As in onVote.
    /// @param name As in onVote.
    /// @param versions Number of its versions, at least 1; they count from 1 to this.
    struct Document {
        string kind;
        string name;
        uint32 versions;
    }

    // ------------------------------------------------------------------------------------------------- events

    /// @notice A version was put.
    /// @param id keccak256(abi.encode(kind, name)).
    event DocumentPut(
        bytes32 indexed id,
        bytes32 indexed digest,
        uint64 indexed proposalId,
        string kind,
        string name,
        uint32 version,
        uint64 sinceBlock
    );

    // ------------------------------------------------------------------------------------------------- errors

    /// @notice The caller is not the registry.
    error NotAuthorised(address caller);
    /// @notice The kind is not 1–32 characters of a–z, 0–9 and hyphen.
    error MalformedKind();
    /// @notice The name is not 1–64 characters of a–z, 0–9, dot, colon and hyphen.
    error MalformedName();
    /// @notice The version is not the one after the last; two votes about one document overtook each other.
    error WrongVersion(uint32 version, uint32 expected);
    /// @notice A document that is not there cannot be withdrawn.
    error NothingToWithdraw();
    /// @notice No such document or version.
    error UnknownDocument();

    // ------------------------------------------------------------------------------------------------- votes

    /// @notice Carry out a vote. Caller: the registry.
    /// @dev `sinceBlock` is the latest of `fromBlock`, the block of this call and the version before's: a vote that took
    /// longer than planned still passes, and the versions of a document begin in their order.
    /// @param proposalId The proposal that passed.
    /// @param data `abi.encode(string kind, string name, uint32 version, bytes32 digest, uint64 fromBlock)`. Kind: 1–32 of
    /// a–z, 0–9, hyphen, for example `item`, `purposes`. Name: 1–64 of a–z, 0–9, dot, colon, hyphen. Version: one more than
    /// the document's last. Digest: SHA-256 of the document, or zero to withdraw it. `fromBlock`: first block in which it is
    /// to hold, 0 for at once.
    function onVote(uint64 proposalId, bytes calldata data) external override;

    // ------------------------------------------------------------------------------------------------- reading

    /// @notice The member registry, fixed at deployment.
    function registry() external view returns (address);

    /// @notice Number of documents that were ever put, withdrawn ones included.
    function documentCount() external view returns (uint256);

    /// @notice Documents in the order in which they were first put.
    /// @param from Place of the first, from 0.
    /// @param count Greatest number of documents to give.
    function documents(uint256 from, uint256 count) external view returns (Document[] memory);

    /// @notice All versions of a document, oldest first; empty when it was never put.
    function versions(string calldata kind, string calldata name) external view returns (Version[] memory);

    /// @notice The version that holds in a block; as far as is decided now, when the block is in the future.
    /// @return version Its number, or 0 when none holds or ever held.
    /// @return digest Its digest; zero when the document is withdrawn or there is none.
    function documentAt(string calldata kind, string calldata name, uint64 blockNumber)
        external
        view
        returns (uint32 version, bytes32 digest);
}
