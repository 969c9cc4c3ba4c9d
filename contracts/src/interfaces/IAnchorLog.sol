// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IVoteTarget} from "./IVoteTarget.sol";

/// @title The append-only logs of the members, one anchor after the other
/// @notice A log can only grow: every anchor brings an RFC 6962 consistency proof from the anchor before it. History is
/// one slot per anchor, which binds the size and time of the anchor before to this one's.
/// @dev The contract's first storage variable is `mapping(bytes32 logId => mapping(uint64 i => bytes32)) commitment`, so
/// that an anchor can be proved by eth_getProof: slot = keccak256(abi.encode(i, keccak256(abi.encode(logId, 0)))).
interface IAnchorLog is IVoteTarget {
    // ------------------------------------------------------------------------------------------------- values

    /// @notice A tree head that the chain accepted.
    /// @param i 1, 2, 3 … within the log.
    /// @param prevSize Size in the anchor before; 0 for the first.
    /// @param prevBlock Block of the anchor before; for the first the block of openLog.
    /// @param prevTime Chain time of the anchor before, seconds; for the first that of openLog.
    /// @param size Number of entries, 1 … 2^53-1.
    /// @param root RFC 6962 root over them.
    /// @param block Block of this anchor.
    /// @param time Chain time of this anchor, seconds.
    struct Anchor {
        uint64 i;
        uint64 prevSize;
        uint64 prevBlock;
        uint64 prevTime;
        uint64 size;
        bytes32 root;
        uint64 block;
        uint64 time;
    }

    /// @notice What is fixed about a log, and how it ends.
    /// @param member USCC of the owner.
    /// @param kind 1 records, 2 access.
    /// @param n 0, 1, 2 … by succession.
    /// @param predecessor The log before, or zero.
    /// @param successor The log after, or zero.
    /// @param openedBlock Block of openLog.
    /// @param closesAt Chain time in seconds at which the log is, or will be, closed; 0 while no end is known.
    /// @param closed Whether it is closed now.
    /// @param lastGood Last good anchor that the vote named; 0 when it named none.
    /// @param ed25519 Public key of the checkpoint's Ed25519 line.
    /// @param mlDsa44Digest SHA-256 of the public key of the checkpoint's ML-DSA-44 line.
    struct LogInfo {
        bytes18 member;
        uint8 kind;
        uint32 n;
        bytes32 predecessor;
        bytes32 successor;
        uint64 openedBlock;
        uint64 closesAt;
        bool closed;
        uint64 lastGood;
        bytes32 ed25519;
        bytes32 mlDsa44Digest;
    }

    /// @notice Where a demand stands.
    enum DemandState {
        None, // 0: never made
        Open, // 1: waiting for the leaf
        Answered, // 2: the leaf is pinned
        Defaulted // 3: stayed unanswered; a later answer pins the leaf and changes nothing else
    }

    /// @notice A demand to show which leaf stands at an index.
    /// @param state See DemandState.
    /// @param by Number of the member that demanded it.
    /// @param demandedAt Chain time of the demand, seconds.
    /// @param overdueBlock Block in which it was noted to be overdue, or 0.
    /// @param leafHash RFC 6962 leaf hash that the answer pinned, or zero.
    struct Demand {
        DemandState state;
        uint32 by;
        uint64 demandedAt;
        uint64 overdueBlock;
        bytes32 leafHash;
    }

    // ------------------------------------------------------------------------------------------------- events

    /// @notice A log was opened; `origin` is the text whose SHA-256 is `logId`.
    event LogOpened(
        bytes32 indexed logId,
        bytes18 indexed member,
        uint8 indexed kind,
        uint32 n,
        bytes32 predecessor,
        bytes32 ed25519,
        bytes32 mlDsa44Digest,
        string origin
    );
    /// @notice A tree head was accepted.
    event Anchored(bytes32 indexed logId, uint64 indexed i, Anchor a);
    /// @notice A log closes at `closesAt` (chain time, seconds): announced by its member, or at once by vote, which may
    /// name the last good anchor (otherwise 0).
    event LogClosing(bytes32 indexed logId, uint64 closesAt, bool byVote, uint64 lastGood);
    /// @notice An announced closure was cancelled before it took effect.
    event CloseCancelled(bytes32 indexed logId);
    /// @notice A member demands to see the leaf at an index.
    event Demanded(bytes32 indexed logId, uint64 indexed index, bytes18 indexed by);
    /// @notice The leaf at an index is pinned.
    event Answered(bytes32 indexed logId, uint64 indexed index, bytes32 leafHash);
    /// @notice A demand passed its time; it becomes a default after OVERDUE_BLOCKS more blocks.
    event Overdue(bytes32 indexed logId, uint64 indexed index);
    /// @notice A demand stayed unanswered.
    event Defaulted(bytes32 indexed logId, uint64 indexed index);

    // ------------------------------------------------------------------------------------------------- errors

    /// @notice The caller is not the operator key of the active member that owns the log (or, where the function says so,
    /// of any active member; its recovery key; the registry).
    error NotAuthorised(address caller);
    /// @notice The domain is not 1–63 characters of a–z, 0–9, dot and hyphen.
    error MalformedDomain();
    /// @notice A log kind is 1 (records) or 2 (access).
    error UnknownLogKind(uint8 kind);
    /// @notice No such log.
    error UnknownLog(bytes32 logId);
    /// @notice `n` and `predecessor` do not continue the member's logs of this kind.
    error WrongSuccession();
    /// @notice The predecessor is not closed yet.
    error PredecessorOpen(bytes32 logId);
    /// @notice The registry names no Ed25519 key or no ML-DSA-44 digest for the member's log of this kind at this block.
    error LogKeysMissing();
    /// @notice The log is closed.
    error LogIsClosed(bytes32 logId);
    /// @notice The log is being closed already.
    error AlreadyClosing(bytes32 logId);
    /// @notice No closure is under way.
    error NotClosing(bytes32 logId);
    /// @notice The size is not greater than that of the anchor before.
    error SizeNotGrown(uint64 oldSize, uint64 newSize);
    /// @notice The size is greater than 2^53-1.
    error SizeTooLarge(uint64 size);
    /// @notice The consistency proof has too few or too many hashes, or is not empty for the first anchor.
    error WrongProofLength();
    /// @notice The consistency proof does not lead from the anchored root: rewritten history.
    error OldRootMismatch();
    /// @notice The consistency proof does not lead to the new root.
    error NewRootMismatch();
    /// @notice The anchor's commitment is not that of this log.
    error UnknownAnchor(bytes32 logId, uint64 i);
    /// @notice The index is not below the size.
    error IndexOutOfRange(uint64 index, uint64 size);
    /// @notice The inclusion proof does not lead from the leaf to the anchor's root.
    error NotIncluded();
    /// @notice The member has made DEMANDS_PER_DAY demands within a day.
    error TooManyDemands();
    /// @notice The demand's state does not allow this.
    error WrongDemandState(DemandState state);
    /// @notice The demand is not overdue for long enough.
    error NotYetDue();
    /// @notice The vote's data is not an operation of this contract.
    error UnknownOperation(uint8 operation);

    // ------------------------------------------------------------------------------------------------- logs

    /// @notice Open own log. Caller: operator key of an active member.
    /// @dev Register the log's key pair first (IMemberRegistry.registerKeys, kinds 2 + kind and 4 + kind): the log keeps
    /// the pair that the registry names in the block of this call.
    /// @param kind 1 records, 2 access.
    /// @param n 0 for the first log of the kind, else one more than the predecessor's.
    /// @param predecessor Zero for the first; else the member's last log of the kind, closed.
    /// @return logId SHA-256 of `<domain>/<USCC>/<records|access>/<n>`.
    function openLog(uint8 kind, uint32 n, bytes32 predecessor) external returns (bytes32 logId);

    /// @notice Announce the closure of own log; it closes by itself after CLOSE_DELAY_SECONDS and can be anchored until
    /// then. Caller: operator key of the active owner.
    function closeLog(bytes32 logId) external;

    /// @notice Cancel a closure that has not taken effect. Caller: operator key of the active owner, or its recovery key.
    function cancelClose(bytes32 logId) external;

    /// @notice Carry out a vote. Caller: the registry.
    /// @param proposalId The proposal that passed.
    /// @param data `abi.encode(uint8 operation, bytes32 logId, uint64 lastGood)`; operation 1 closes the log at once
    /// (`lastGood` = last good anchor, or 0 to name none) or names the last good anchor of a log that is closed already;
    /// operation 2 cancels a closure that has not taken effect (`lastGood` 0).
    function onVote(uint64 proposalId, bytes calldata data) external override;

    // ------------------------------------------------------------------------------------------------- anchors

    /// @notice Anchor own log. Caller: operator key of the active owner.
    /// @param logId The log, open.
    /// @param size New number of entries, greater than the anchored one.
    /// @param root RFC 6962 root over them.
    /// @param proof RFC 6962 consistency proof from the anchored size to `size`; empty for the first anchor.
    function anchor(bytes32 logId, uint64 size, bytes32 root, bytes32[] calldata proof) external;

    /// @notice Anchor two logs in one transaction; as two calls of anchor, both or none.
    function anchorBoth(
        bytes32[2] calldata logIds,
        uint64[2] calldata sizes,
        bytes32[2] calldata roots,
        bytes32[][2] calldata proofs
    ) external;

    /// @notice Last anchor of a log; before the first: size, i and root zero, block and time of openLog.
    /// Reverts with UnknownLog.
    /// @return size Anchored size.
    /// @return i Number of anchors.
    /// @return blockNumber Block of the last anchor.
    /// @return time Chain time of the last anchor, seconds.
    /// @return root Anchored root.
    function head(bytes32 logId)
        external
        view
        returns (uint64 size, uint64 i, uint64 blockNumber, uint64 time, bytes32 root);

    /// @notice keccak256(abi.encode(Anchor)) of an anchor, or zero.
    function commitment(bytes32 logId, uint64 i) external view returns (bytes32);

    /// @notice Check an entry against an anchor; reverts unless it is included.
    /// @param logId The log.
    /// @param a The anchor, from its event.
    /// @param index Index of the entry.
    /// @param leafHash RFC 6962 leaf hash of the entry.
    /// @param path RFC 6962 inclusion path in the tree of `a.size`.
    function verifyInclusion(bytes32 logId, Anchor calldata a, uint64 index, bytes32 leafHash, bytes32[] calldata path)
        external
        view;

    // ------------------------------------------------------------------------------------------------- demands

    /// @notice Demand to see which leaf stands at an anchored index, because a receipt for it was not honoured.
    /// Caller: operator key of any active member.
    /// @dev Carries no leaf: the chain cannot check a receipt, and a false demand must not convict.
    /// @param logId The log.
    /// @param index Below the anchored size, so that the owner can answer.
    function demand(bytes32 logId, uint64 index) external;

    /// @notice Answer a demand; pins the leaf. Caller: anyone, since the proof speaks for itself.
    /// @param a An anchor with `a.size` > `index`.
    /// @param path Inclusion path in the tree of `a.size`.
    function answer(bytes32 logId, Anchor calldata a, uint64 index, bytes32 leafHash, bytes32[] calldata path) external;

    /// @notice Record that a demand stayed unanswered. Caller: anyone, twice: once ANSWER_SECONDS have passed, and again
    /// OVERDUE_BLOCKS blocks later, so that a chain that was halted convicts nobody when it wakes.
    function recordDefault(bytes32 logId, uint64 index) external;

    // ------------------------------------------------------------------------------------------------- reading

    /// @notice The exchange domain, fixed at deployment.
    function domain() external view returns (string memory);

    /// @notice The member registry, fixed at deployment.
    function registry() external view returns (address);

    /// @notice What is fixed about a log, and how it ends. Reverts with UnknownLog.
    function logInfo(bytes32 logId) external view returns (LogInfo memory);

    /// @notice The member's newest log of a kind, open or closed.
    /// @return logId The log, or zero.
    function lastLog(bytes18 member, uint8 kind) external view returns (bytes32 logId);

    /// @notice Where a demand stands.
    function demandOf(bytes32 logId, uint64 index) external view returns (Demand memory);
}
