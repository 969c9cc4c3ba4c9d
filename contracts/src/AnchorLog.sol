// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAnchorLog} from "./interfaces/IAnchorLog.sol";
import {IMemberRegistry} from "./interfaces/IMemberRegistry.sol";
import {Rfc6962} from "./Rfc6962.sol";

/// @title AnchorLog
/// @notice See IAnchorLog.
contract AnchorLog is IAnchorLog {
    /// @notice History of all logs. Stays the first storage variable: evidence proves its slots.
    mapping(bytes32 logId => mapping(uint64 i => bytes32)) public override commitment;

    /// @notice Seconds between a member's announcement and the closure of its log.
    uint64 public constant CLOSE_DELAY_SECONDS = 24 hours;
    /// @notice Seconds that a log's owner has to answer a demand.
    uint64 public constant ANSWER_SECONDS = 24 hours;
    /// @notice Blocks between noting that a demand is overdue and recording the default.
    uint64 public constant OVERDUE_BLOCKS = 100;
    /// @notice Demands that one member may make within a day.
    uint32 public constant DEMANDS_PER_DAY = 16;
    /// @notice Largest size: integers of the protocol end at 2^53-1.
    uint64 public constant MAX_SIZE = 2 ** 53 - 1;

    uint8 private constant RECORDS = 1;
    uint8 private constant ACCESS = 2;
    uint8 private constant VOTE_CLOSE = 1;
    uint8 private constant VOTE_CANCEL_CLOSE = 2;

    /// @dev The last anchor and all that decides on the next one, in two slots, because each slot read costs an anchor
    /// 2,100 gas and each slot changed 2,900 more. Widths hold any block and time of the next thousand years.
    struct Head {
        uint56 size;
        uint32 i;
        uint40 blockNumber;
        uint48 time;
        uint48 closesAt;
        uint32 owner;
        bytes32 root;
    }

    struct Log {
        bytes18 member;
        uint8 kind;
        uint32 n;
        uint40 openedBlock;
        uint32 lastGood;
        bytes32 predecessor;
        bytes32 successor;
        bytes32 ed25519;
        bytes32 mlDsa44Digest;
    }

    struct DemandWindow {
        uint64 startedAt;
        uint32 count;
    }

    IMemberRegistry private immutable _REGISTRY;
    string private _domain;
    mapping(bytes32 logId => Head) private _heads;
    mapping(bytes32 logId => Log) private _logs;
    mapping(uint32 member => mapping(uint8 kind => bytes32)) private _lastLog;
    mapping(bytes32 logId => mapping(uint64 index => Demand)) private _demands;
    mapping(uint32 member => DemandWindow) private _demandWindows;

    /// @param registry_ The member registry.
    /// @param domain_ The exchange domain: 1–63 characters of a–z, 0–9, dot and hyphen.
    constructor(IMemberRegistry registry_, string memory domain_) {
        bytes memory characters = bytes(domain_);
        if (characters.length == 0 || characters.length > 63) revert MalformedDomain();
        for (uint256 k = 0; k < characters.length; k++) {
            bytes1 c = characters[k];
            bool known = (c >= "a" && c <= "z") || (c >= "0" && c <= "9") || c == "." || c == "-";
            if (!known) revert MalformedDomain();
        }
        _REGISTRY = registry_;
        _domain = domain_;
    }

    // ------------------------------------------------------------------------------------------------- logs

    /// @inheritdoc IAnchorLog
    function openLog(uint8 kind, uint32 n, bytes32 predecessor) external returns (bytes32 logId) {
        (uint32 owner, bytes18 code) = _REGISTRY.memberOf(msg.sender);
        if (owner == 0) revert NotAuthorised(msg.sender);
        if (kind != RECORDS && kind != ACCESS) revert UnknownLogKind(kind);

        string memory origin = _origin(code, kind, n);
        logId = sha256(bytes(origin));

        bytes32 last = _lastLog[owner][kind];
        if (predecessor != last) revert WrongSuccession();
        if (last == 0) {
            if (n != 0) revert WrongSuccession();
        } else {
            if (n != _logs[last].n + 1) revert WrongSuccession();
            if (!_isClosed(_heads[last].closesAt)) revert PredecessorOpen(last);
            _logs[last].successor = logId;
        }
        _lastLog[owner][kind] = logId;

        bytes32 ed25519 = _REGISTRY.keyAt(code, 2 + kind, uint64(block.number));
        bytes32 mlDsa44Digest = _REGISTRY.keyAt(code, 4 + kind, uint64(block.number));
        if (ed25519 == 0 || mlDsa44Digest == 0) revert LogKeysMissing();

        Head storage h = _heads[logId];
        h.owner = owner;
        h.blockNumber = uint40(block.number);
        h.time = uint48(block.timestamp);
        Log storage l = _logs[logId];
        l.member = code;
        l.kind = kind;
        l.n = n;
        l.openedBlock = uint40(block.number);
        l.predecessor = predecessor;
        l.ed25519 = ed25519;
        l.mlDsa44Digest = mlDsa44Digest;
        emit LogOpened(logId, code, kind, n, predecessor, ed25519, mlDsa44Digest, origin);
    }

    /// @inheritdoc IAnchorLog
    function closeLog(bytes32 logId) external {
        Head storage h = _known(logId);
        if (_REGISTRY.operatorOf(h.owner) != msg.sender) revert NotAuthorised(msg.sender);
        _requireOpen(logId, h.closesAt);
        if (h.closesAt != 0) revert AlreadyClosing(logId);
        uint64 closesAt = uint64(block.timestamp) + CLOSE_DELAY_SECONDS;
        h.closesAt = uint48(closesAt);
        emit LogClosing(logId, closesAt, false, 0);
    }

    /// @inheritdoc IAnchorLog
    function cancelClose(bytes32 logId) external {
        Head storage h = _known(logId);
        bool mayCancel = _REGISTRY.operatorOf(h.owner) == msg.sender || _REGISTRY.recoveryOf(h.owner) == msg.sender;
        if (!mayCancel) revert NotAuthorised(msg.sender);
        _cancelClose(logId, h);
    }

    /// @inheritdoc IAnchorLog
    function onVote(uint64, bytes calldata data) external override {
        if (msg.sender != address(_REGISTRY)) revert NotAuthorised(msg.sender);
        (uint8 operation, bytes32 logId, uint64 lastGood) = abi.decode(data, (uint8, bytes32, uint64));
        Head storage h = _known(logId);
        if (operation == VOTE_CLOSE) {
            if (lastGood > h.i) revert UnknownAnchor(logId, lastGood);
            if (!_isClosed(h.closesAt)) h.closesAt = uint48(block.timestamp);
            else if (lastGood == 0) revert LogIsClosed(logId);
            _logs[logId].lastGood = uint32(lastGood);
            emit LogClosing(logId, h.closesAt, true, lastGood);
        } else if (operation == VOTE_CANCEL_CLOSE && lastGood == 0) {
            _cancelClose(logId, h);
        } else {
            revert UnknownOperation(operation);
        }
    }

    // ------------------------------------------------------------------------------------------------- anchors

    /// @inheritdoc IAnchorLog
    function anchor(bytes32 logId, uint64 size, bytes32 root, bytes32[] calldata proof) external {
        _anchor(logId, size, root, proof);
    }

    /// @inheritdoc IAnchorLog
    function anchorBoth(
        bytes32[2] calldata logIds,
        uint64[2] calldata sizes,
        bytes32[2] calldata roots,
        bytes32[][2] calldata proofs
    ) external {
        _anchor(logIds[0], sizes[0], roots[0], proofs[0]);
        _anchor(logIds[1], sizes[1], roots[1], proofs[1]);
    }

    /// @inheritdoc IAnchorLog
    function verifyInclusion(bytes32 logId, Anchor calldata a, uint64 index, bytes32 leafHash, bytes32[] calldata path)
        external
        view
    {
        _verifyInclusion(logId, a, index, leafHash, path);
    }

    // ------------------------------------------------------------------------------------------------- demands

    /// @inheritdoc IAnchorLog
    function demand(bytes32 logId, uint64 index) external {
        (uint32 by, bytes18 code) = _REGISTRY.memberOf(msg.sender);
        if (by == 0) revert NotAuthorised(msg.sender);
        uint64 size = _known(logId).size;
        if (index >= size) revert IndexOutOfRange(index, size);
        Demand storage d = _demands[logId][index];
        if (d.state != DemandState.None) revert WrongDemandState(d.state);

        DemandWindow storage window = _demandWindows[by];
        if (block.timestamp >= window.startedAt + 1 days) {
            window.startedAt = uint64(block.timestamp);
            window.count = 0;
        }
        if (window.count == DEMANDS_PER_DAY) revert TooManyDemands();
        window.count++;

        d.state = DemandState.Open;
        d.by = by;
        d.demandedAt = uint64(block.timestamp);
        emit Demanded(logId, index, code);
    }

    /// @inheritdoc IAnchorLog
    function answer(bytes32 logId, Anchor calldata a, uint64 index, bytes32 leafHash, bytes32[] calldata path)
        external
    {
        Demand storage d = _demands[logId][index];
        bool wanted = d.state == DemandState.Open || (d.state == DemandState.Defaulted && d.leafHash == 0);
        if (!wanted) revert WrongDemandState(d.state);
        _verifyInclusion(logId, a, index, leafHash, path);
        if (d.state == DemandState.Open) d.state = DemandState.Answered;
        d.leafHash = leafHash;
        emit Answered(logId, index, leafHash);
    }

    /// @inheritdoc IAnchorLog
    function recordDefault(bytes32 logId, uint64 index) external {
        Demand storage d = _demands[logId][index];
        if (d.state != DemandState.Open) revert WrongDemandState(d.state);
        if (d.overdueBlock == 0) {
            if (block.timestamp <= d.demandedAt + ANSWER_SECONDS) revert NotYetDue();
            d.overdueBlock = uint64(block.number);
            emit Overdue(logId, index);
        } else {
            if (block.number < d.overdueBlock + OVERDUE_BLOCKS) revert NotYetDue();
            d.state = DemandState.Defaulted;
            emit Defaulted(logId, index);
        }
    }

    // ------------------------------------------------------------------------------------------------- reading

    /// @inheritdoc IAnchorLog
    function head(bytes32 logId)
        external
        view
        returns (uint64 size, uint64 i, uint64 blockNumber, uint64 time, bytes32 root)
    {
        Head storage h = _known(logId);
        return (h.size, h.i, h.blockNumber, h.time, h.root);
    }

    /// @inheritdoc IAnchorLog
    function domain() external view returns (string memory) {
        return _domain;
    }

    /// @inheritdoc IAnchorLog
    function registry() external view returns (address) {
        return address(_REGISTRY);
    }

    /// @inheritdoc IAnchorLog
    function logInfo(bytes32 logId) external view returns (LogInfo memory) {
        uint48 closesAt = _known(logId).closesAt;
        Log storage l = _logs[logId];
        return LogInfo({
            member: l.member,
            kind: l.kind,
            n: l.n,
            predecessor: l.predecessor,
            successor: l.successor,
            openedBlock: l.openedBlock,
            closesAt: closesAt,
            closed: _isClosed(closesAt),
            lastGood: l.lastGood,
            ed25519: l.ed25519,
            mlDsa44Digest: l.mlDsa44Digest
        });
    }

    /// @inheritdoc IAnchorLog
    function lastLog(bytes18 member, uint8 kind) external view returns (bytes32 logId) {
        return _lastLog[_REGISTRY.member(member).number][kind];
    }

    /// @inheritdoc IAnchorLog
    function demandOf(bytes32 logId, uint64 index) external view returns (Demand memory) {
        return _demands[logId][index];
    }

    // ------------------------------------------------------------------------------------------------- inside

    function _anchor(bytes32 logId, uint64 size, bytes32 root, bytes32[] calldata proof) private {
        Head storage stored = _heads[logId];
        Head memory h = stored;
        // 1. The log exists and is open, and the caller is its owner's operator key.
        if (h.owner == 0) revert UnknownLog(logId);
        if (_REGISTRY.operatorOf(h.owner) != msg.sender) revert NotAuthorised(msg.sender);
        _requireOpen(logId, h.closesAt);
        // 2. It has grown, and nothing that was anchored has changed.
        if (size <= h.size) revert SizeNotGrown(h.size, size);
        if (size > MAX_SIZE) revert SizeTooLarge(size);
        if (h.size != 0) {
            _verifyConsistency(h.size, size, h.root, root, proof);
        } else if (proof.length != 0) {
            revert WrongProofLength();
        }
        // 3. The new anchor is bound to the one before.
        Anchor memory a = Anchor({
            i: h.i + 1,
            prevSize: h.size,
            prevBlock: h.blockNumber,
            prevTime: h.time,
            size: size,
            root: root,
            block: uint64(block.number),
            time: uint64(block.timestamp)
        });
        bytes32 topic = Anchored.selector;
        bytes32 digest;
        assembly ("memory-safe") {
            // In memory the struct's eight words are its ABI encoding, so they serve the commitment and the event
            // as they are: 1,400 gas less than abi.encode and emit.
            digest := keccak256(a, 0x100)
            log3(a, 0x100, topic, logId, mload(a))
        }
        commitment[logId][a.i] = digest;
        stored.size = uint56(size);
        stored.i = uint32(a.i);
        stored.blockNumber = uint40(block.number);
        stored.time = uint48(block.timestamp);
        stored.root = root;
    }

    function _verifyConsistency(
        uint64 oldSize,
        uint64 newSize,
        bytes32 oldRoot,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) private view {
        (bool wellFormed, bytes32 oldComputed, bytes32 newComputed) =
            Rfc6962.consistencyRoots(oldSize, newSize, oldRoot, proof);
        if (!wellFormed) revert WrongProofLength();
        if (oldComputed != oldRoot) revert OldRootMismatch();
        if (newComputed != newRoot) revert NewRootMismatch();
    }

    function _verifyInclusion(bytes32 logId, Anchor calldata a, uint64 index, bytes32 leafHash, bytes32[] calldata path)
        private
        view
    {
        if (commitment[logId][a.i] != keccak256(abi.encode(a))) revert UnknownAnchor(logId, a.i);
        if (index >= a.size) revert IndexOutOfRange(index, a.size);
        (bool wellFormed, bytes32 computed) = Rfc6962.inclusionRoot(index, a.size, leafHash, path);
        if (!wellFormed || computed != a.root) revert NotIncluded();
    }

    function _cancelClose(bytes32 logId, Head storage h) private {
        _requireOpen(logId, h.closesAt);
        if (h.closesAt == 0) revert NotClosing(logId);
        h.closesAt = 0;
        emit CloseCancelled(logId);
    }

    function _known(bytes32 logId) private view returns (Head storage h) {
        h = _heads[logId];
        if (h.owner == 0) revert UnknownLog(logId);
    }

    function _requireOpen(bytes32 logId, uint48 closesAt) private view {
        if (_isClosed(closesAt)) revert LogIsClosed(logId);
    }

    function _isClosed(uint48 closesAt) private view returns (bool) {
        return closesAt != 0 && block.timestamp >= closesAt;
    }

    function _origin(bytes18 code, uint8 kind, uint32 n) private view returns (string memory) {
        string memory kindName = kind == RECORDS ? "records" : "access";
        return string.concat(_domain, "/", string(abi.encodePacked(code)), "/", kindName, "/", _decimal(n));
    }

    function _decimal(uint32 value) private pure returns (string memory) {
        bytes memory digits = new bytes(10);
        uint256 from = digits.length;
        do {
            digits[--from] = bytes1(uint8(48 + value % 10));
            value /= 10;
        } while (value != 0);
        bytes memory text = new bytes(digits.length - from);
        for (uint256 k = 0; k < text.length; k++) {
            text[k] = digits[from + k];
        }
        return string(text);
    }
}
