// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Who belongs to the consortium, with which keys, and what its governing members decide
/// @notice Members are named by the 18 ASCII bytes of their unified social credit code (USCC).
/// @dev There is no owner. After deployment every change to a member is made by that member itself (its keys) or by
/// a vote of more than two thirds of the active governing members. A network with one governing member needs its one
/// vote, which then executes at once.
interface IMemberRegistry {
    // ------------------------------------------------------------------------------------------------- values

    /// @notice Whether a member may act. A removed member may be added again under its code and keeps its number.
    enum Status {
        None, // 0: never a member
        Active, // 1
        Suspended, // 2: may not anchor, vote or register keys
        Removed // 3
    }

    /// @notice What can be voted on; the payload is `abi.encode` of the types behind each name.
    enum Action {
        AddMember, // 0: bytes18 code, address operator, address recovery, uint8 roles, bool governing
        Suspend, // 1: bytes18 code
        Resume, // 2: bytes18 code
        Remove, // 3: bytes18 code
        SetRoles, // 4: bytes18 code, uint8 roles, bool governing
        SetAddresses, // 5: bytes18 code, address operator, address recovery; at once, for a lost or stolen key
        DeclareCompromised, // 6: bytes18 code, uint8 kind, bytes32 key, uint64 fromBlock
        CancelRotation, // 7: bytes18 code
        Resolve // 8: address target, bytes data; calls IVoteTarget(target).onVote(id, data): IAnchorLog, IDocumentRegistry
    }

    /// @notice A member at deployment.
    /// @param code USCC, 18 ASCII bytes: digits and capital letters without I, O, S, V, Z.
    /// @param operator Address of the operator key, which sends the member's transactions.
    /// @param recovery Address of the recovery key, kept cold; differs from `operator`.
    /// @param roles Bit mask: 1 issuer, 2 consumer, 4 auditor, 8 regulator, 16 gateway.
    /// @param governing Whether the member votes.
    struct Founder {
        bytes18 code;
        address operator;
        address recovery;
        uint8 roles;
        bool governing;
    }

    /// @notice A member as it stands.
    /// @param code USCC.
    /// @param number 1, 2, 3 … in order of joining; never used again for another code.
    /// @param status See Status.
    /// @param roles Bit mask as in Founder.
    /// @param governing Whether the member votes while it is active.
    /// @param operator The operator key in force now (a rotation whose time has come counts as done).
    /// @param recovery The recovery key.
    /// @param pendingOperator The operator key that takes effect at `rotationAt`, or zero.
    /// @param rotationAt Chain time in seconds at which `pendingOperator` takes effect, or 0.
    /// @param sinceBlock Block in which the member joined (the last time).
    struct Member {
        bytes18 code;
        uint32 number;
        Status status;
        uint8 roles;
        bool governing;
        address operator;
        address recovery;
        address pendingOperator;
        uint64 rotationAt;
        uint64 sinceBlock;
    }

    /// @notice A key to register; see registerKeys.
    /// @param kind Key kind, 1–8 (see keyAt).
    /// @param key Raw Ed25519 public key, or SHA-256 digest of the public key for the other algorithms.
    /// @param fromBlock First block in which the key is valid, not in the past; 0 for the block of the transaction.
    /// @param data For kind 7 the 1,216 bytes (ML-KEM-768 ‖ X25519), for kind 8 the 48-byte BLS12-381 public key followed
    /// by its 96-byte proof of possession; `key` is the SHA-256 of `data`. Empty for all other kinds.
    struct KeyInput {
        uint8 kind;
        bytes32 key;
        uint64 fromBlock;
        bytes data;
    }

    /// @notice One key with the blocks [fromBlock, toBlock) in which it is valid.
    /// @param key As in KeyInput.
    /// @param fromBlock First block in which the key is valid.
    /// @param toBlock First block in which it is no longer valid; 2^64-1 while no end is known.
    struct KeyPeriod {
        bytes32 key;
        uint64 fromBlock;
        uint64 toBlock;
    }

    /// @notice Where a member's node is reached by the others.
    /// @param url `https://host[:port]`, or `http://` with a loopback host and a port; empty when it is not said.
    /// @param tlsKey SHA-256 of the SubjectPublicKeyInfo (DER) of the node's TLS certificate; zero for plain HTTP.
    /// @param sinceBlock Block in which it was set; 0 when it is not said.
    struct Endpoint {
        string url;
        bytes32 tlsKey;
        uint64 sinceBlock;
    }

    /// @notice A proposal as it stands.
    /// @param action What is proposed.
    /// @param executed Whether it passed and was carried out.
    /// @param proposer Number of the member that proposed it.
    /// @param expiresAt Chain time in seconds from which no vote counts any more.
    /// @param votes Votes that count now: by members that are active and governing (for DeclareCompromised without
    /// the member concerned).
    /// @param needed Votes that are needed now.
    /// @param payload See Action.
    struct Proposal {
        Action action;
        bool executed;
        uint32 proposer;
        uint64 expiresAt;
        uint32 votes;
        uint32 needed;
        bytes payload;
    }

    // ------------------------------------------------------------------------------------------------- events

    /// @notice A member joined, at deployment or by vote.
    event MemberAdded(
        bytes18 indexed code, uint32 number, address operator, address recovery, uint8 roles, bool governing
    );
    /// @notice A member's status changed by vote.
    event StatusChanged(bytes18 indexed code, Status status);
    /// @notice A member's roles or its vote changed by vote.
    event RolesChanged(bytes18 indexed code, uint8 roles, bool governing);
    /// @notice A member's operator and recovery keys were replaced by vote, at once.
    event AddressesChanged(bytes18 indexed code, address operator, address recovery);
    /// @notice A recovery key handed over to another.
    event RecoveryChanged(bytes18 indexed code, address recovery);
    /// @notice An operator key will be replaced at `effectiveAt` (chain time, seconds) unless that is cancelled.
    event RotationStarted(bytes18 indexed code, address operator, address pendingOperator, uint64 effectiveAt);
    /// @notice A rotation that had not taken effect was cancelled, by the recovery key or by vote.
    event RotationCancelled(bytes18 indexed code, address pendingOperator);
    /// @notice A key was registered and is valid from `fromBlock`; the key before it ends there.
    event KeyRegistered(bytes18 indexed code, uint8 indexed kind, bytes32 indexed key, uint64 fromBlock, bytes data);
    /// @notice A key was ended without a successor, or withdrawn before it became valid (then `toBlock` = `fromBlock`).
    event KeyEnded(bytes18 indexed code, uint8 indexed kind, bytes32 indexed key, uint64 toBlock);
    /// @notice The others declared a key compromised from `fromBlock` on. Changes no history.
    event KeyCompromised(bytes18 indexed code, uint8 indexed kind, bytes32 indexed key, uint64 fromBlock);
    /// @notice A member said where its node is reached, or with an empty url that it is reached nowhere.
    event EndpointSet(bytes18 indexed code, string url, bytes32 tlsKey);
    /// @notice A governing member proposed something; its own vote is cast with it.
    event Proposed(uint64 indexed id, bytes18 indexed proposer, Action action, bytes payload, uint64 expiresAt);
    /// @notice A governing member voted for a proposal.
    event Voted(uint64 indexed id, bytes18 indexed code);
    /// @notice A proposal passed and was carried out.
    event Executed(uint64 indexed id);

    // ------------------------------------------------------------------------------------------------- errors

    /// @notice The caller is not the operator key of an active member (that governs, where that is needed).
    error NotAuthorised(address caller);
    /// @notice No member has this code or number.
    error UnknownMember();
    /// @notice The code has not the shape of a USCC.
    error MalformedCode(bytes18 code);
    /// @notice An address is zero, belongs to another member, or is operator and recovery key at once.
    error UnusableAddress(address account);
    /// @notice The role mask has bits outside 0x1f.
    error UnknownRoles(uint8 roles);
    /// @notice The member's status does not allow this.
    error WrongStatus(bytes18 code, Status status);
    /// @notice The network would be left without an active governing member.
    error LastGoverningMember();
    /// @notice The key kind is not one of those that can be registered.
    error UnknownKeyKind(uint8 kind);
    /// @notice `data` has not the length of the kind, or `key` is zero or not its digest.
    error MalformedKey(uint8 kind);
    /// @notice The key is registered already: one key, one purpose, one member.
    error KeyInUse(bytes32 key);
    /// @notice The block is in the past or not later than the start of the key before; for a declaration, 0 or in the
    /// future.
    error WrongBlock(uint64 blockNumber);
    /// @notice The member has no such key (in force).
    error UnknownKey();
    /// @notice The endpoint is neither `https://` with a key nor `http://` with a loopback host, a port and no key; or has a
    /// path, a user or more than 255 bytes.
    error MalformedEndpoint();
    /// @notice A rotation is under way already.
    error RotationPending();
    /// @notice No rotation is under way.
    error NoRotation();
    /// @notice No such proposal.
    error UnknownProposal(uint64 id);
    /// @notice The proposal was executed or has expired.
    error ProposalClosed(uint64 id);
    /// @notice This member has voted for this proposal already.
    error AlreadyVoted(uint64 id);
    /// @notice The votes that count do not suffice.
    error NotEnoughVotes(uint32 votes, uint32 needed);

    // ------------------------------------------------------------------------------------------------- own keys

    /// @notice Register own keys or rotate to new ones. Caller: operator key of an active member.
    /// @dev The key before ends where the new one begins. A registered key that is not yet valid is replaced. Ed25519 keys
    /// are refused by clients when they are of small order or not canonical; the chain cannot check that.
    /// @param inputs The keys.
    function registerKeys(KeyInput[] calldata inputs) external;

    /// @notice End own key of a kind without a successor, from the next block on. Caller: operator key of an active member.
    /// @param kind Key kind, 1–8.
    function endKey(uint8 kind) external;

    /// @notice Start the rotation of own operator key; takes effect by itself after ROTATION_DELAY_SECONDS.
    /// Caller: operator key of an active member.
    /// @param newOperator Address that has never been a member's operator key.
    function rotateOperator(address newOperator) external;

    /// @notice Cancel a rotation that has not taken effect. Caller: recovery key of the member (others by vote).
    /// @param code Member whose rotation it is.
    function cancelRotation(bytes18 code) external;

    /// @notice Hand the recovery key over to another. Caller: recovery key of the member.
    /// @param code Member whose recovery key it is.
    /// @param newRecovery Its successor.
    function changeRecovery(bytes18 code, address newRecovery) external;

    // ------------------------------------------------------------------------------------------------- own endpoint

    /// @notice Say where own node is reached, in place of what was said before. Caller: operator key of an active member.
    /// @dev Whether the host exists is not known here; a client parses it again before it connects.
    /// @param url `https://host[:port]`, or `http://127.0.0.1:port`, `http://[::1]:port` or `http://localhost:port` for nodes
    /// on one machine; at most 255 bytes, no path, small letters. Empty, with a zero key, takes it back.
    /// @param tlsKey As in Endpoint; zero for `http`, not zero for `https`.
    function setEndpoint(string calldata url, bytes32 tlsKey) external;

    // ------------------------------------------------------------------------------------------------- votes

    /// @notice Propose something and vote for it; executes at once when that one vote suffices.
    /// Caller: operator key of an active governing member.
    /// @param action What is proposed.
    /// @param payload See Action.
    /// @return id Of the proposal, counted from 1.
    function propose(Action action, bytes calldata payload) external returns (uint64 id);

    /// @notice Vote for a proposal; the deciding vote executes it. Caller: operator key of an active governing member.
    /// @param id Of the proposal.
    function vote(uint64 id) external;

    /// @notice Execute a proposal whose votes suffice since the set of governing members changed. Caller: anyone.
    /// @param id Of the proposal.
    function execute(uint64 id) external;

    // ------------------------------------------------------------------------------------------------- reading

    /// @notice Operator key of a member now.
    /// @dev The one call on the path of every anchor.
    /// @param number Member number.
    /// @return The address, or zero when the member is not active.
    function operatorOf(uint32 number) external view returns (address);

    /// @notice Recovery key of a member, whatever its status.
    /// @param number Member number.
    function recoveryOf(uint32 number) external view returns (address);

    /// @notice Active member whose operator key this is now.
    /// @param operator An address.
    /// @return number Member number, or 0.
    /// @return code USCC, or zero.
    function memberOf(address operator) external view returns (uint32 number, bytes18 code);

    /// @notice A member by its code. Reverts with UnknownMember.
    function member(bytes18 code) external view returns (Member memory);

    /// @notice All members that ever joined, by number.
    function members() external view returns (Member[] memory);

    /// @notice Number of members that are active and governing.
    function governingCount() external view returns (uint32);

    /// @notice The key that was, is or will be valid at a block, whatever the status of the member.
    /// Reverts with UnknownMember.
    /// @param code Member.
    /// @param kind 1 record, 2 node, 3 records log Ed25519, 4 access log Ed25519, 5 records log ML-DSA-44 (digest),
    /// 6 access log ML-DSA-44 (digest), 7 exchange (digest), 8 certificate (digest).
    /// @dev A log keeps the pair it was opened with (IAnchorLog.logInfo); kinds 3–6 say which pair the next log gets.
    /// @param blockNumber A block.
    /// @return key The key, or zero when there is none.
    function keyAt(bytes18 code, uint8 kind, uint64 blockNumber) external view returns (bytes32 key);

    /// @notice All keys of a kind, oldest first. Reverts with UnknownMember.
    function keys(bytes18 code, uint8 kind) external view returns (KeyPeriod[] memory);

    /// @notice Block from which the others declared a key compromised. Reverts with UnknownMember.
    /// @param code Member.
    /// @param kind 1–8, or 9 for an operator key (then `key` is the address, left-padded).
    /// @param key The key.
    /// @return fromBlock The block, or 0 when it was never declared.
    function compromisedFrom(bytes18 code, uint8 kind, bytes32 key) external view returns (uint64 fromBlock);

    /// @notice Where a member's node is reached, whatever the member's status. Reverts with UnknownMember.
    function endpointOf(bytes18 code) external view returns (Endpoint memory);

    /// @notice A proposal by its id. Reverts with UnknownProposal.
    function proposal(uint64 id) external view returns (Proposal memory);

    /// @notice Number of proposals so far; ids run from 1 to this.
    function proposalCount() external view returns (uint64);
}
