// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AnchorLog} from "../../src/AnchorLog.sol";
import {MemberRegistry} from "../../src/MemberRegistry.sol";
import {IAnchorLog} from "../../src/interfaces/IAnchorLog.sol";
import {IMemberRegistry} from "../../src/interfaces/IMemberRegistry.sol";
import {Network} from "./Network.sol";
import {Trees} from "./Trees.sol";

/// @title Drives the contracts in any order, the honest way and the other, and remembers what must hold
/// @dev A call that has to succeed is made plainly, so that a revert fails the run; one that has to fail is tried, and
/// counted in `broken` when it succeeds. Members 2, 3 and 4 vote and are left alone; member 1 is what the run is about.
contract Handler is Network {
    uint256 internal constant MOST_LEAVES = 200;

    /// @notice Logs of member 1 of both kinds, in order of opening.
    bytes32[] public logIds;
    /// @notice Calls that succeeded and should not have.
    uint256 public broken;
    mapping(bytes32 => IAnchorLog.Anchor[]) internal _anchors;
    mapping(bytes32 => uint256) internal _seeds;

    constructor() {
        _deploy(4);
        for (uint8 kind = RECORDS; kind <= ACCESS; kind++) {
            _remember(_openFirst(1, kind));
        }
    }

    function anchorLog() external view returns (AnchorLog) {
        return log;
    }

    function memberRegistry() external view returns (MemberRegistry) {
        return registry;
    }

    function logCount() external view returns (uint256) {
        return logIds.length;
    }

    function anchors(bytes32 logId) external view returns (IAnchorLog.Anchor[] memory) {
        return _anchors[logId];
    }

    // ------------------------------------------------------------------------------------------ the honest way

    function grow(uint256 which, uint256 growth) external {
        bytes32 logId = _pick(which);
        (uint64 oldSize, uint64 i, uint64 prevBlock, uint64 prevTime,) = log.head(logId);
        if (oldSize == MOST_LEAVES || !_mayAnchor(logId)) return;
        uint64 size = oldSize + uint64(_bound(growth, 1, MOST_LEAVES - oldSize));
        bytes32[] memory leaves = Trees.leaves(size, _seeds[logId]);
        bytes32 root = Trees.root(leaves, 0, size);
        bytes32[] memory proof = new bytes32[](0);
        if (oldSize != 0) proof = Trees.consistency(leaves, oldSize, size);
        VM.prank(_operator(1));
        log.anchor(logId, size, root, proof);
        _anchors[logId].push(
            IAnchorLog.Anchor(
                i + 1, oldSize, prevBlock, prevTime, size, root, uint64(block.number), uint64(block.timestamp)
            )
        );
    }

    function pass(uint256 time) external {
        _pass(_bound(time, 1, 30 hours));
    }

    function close(uint256 which) external {
        bytes32 logId = _pick(which);
        if (!_mayAnchor(logId) || log.logInfo(logId).closesAt != 0) return;
        VM.prank(_operator(1));
        log.closeLog(logId);
    }

    function cancel(uint256 which) external {
        bytes32 logId = _pick(which);
        IAnchorLog.LogInfo memory info = log.logInfo(logId);
        if (info.closed || info.closesAt == 0) return;
        VM.prank(_recovery(1));
        log.cancelClose(logId);
    }

    function closeByVote(uint256 which, uint256 lastGood) external {
        bytes32 logId = _pick(which);
        if (log.logInfo(logId).closed) return;
        (, uint64 i,,,) = log.head(logId);
        bytes memory data = abi.encode(uint8(1), logId, uint64(_bound(lastGood, 0, i)));
        _decide(IMemberRegistry.Action.Resolve, abi.encode(address(log), data));
    }

    function succeed(uint256 which) external {
        bytes32 last = _pick(which);
        IAnchorLog.LogInfo memory info = log.logInfo(last);
        if (!info.closed || info.successor != 0 || registry.operatorOf(1) == address(0)) return;
        VM.prank(_operator(1));
        _remember(log.openLog(info.kind, info.n + 1, last));
    }

    function suspendOrResume() external {
        bool active = registry.operatorOf(1) != address(0);
        _decide(active ? IMemberRegistry.Action.Suspend : IMemberRegistry.Action.Resume, abi.encode(_code(1)));
    }

    function demandAndAnswer(uint256 which, uint256 index) external {
        bytes32 logId = _pick(which);
        IAnchorLog.Anchor[] storage made = _anchors[logId];
        if (made.length == 0) return;
        IAnchorLog.Anchor memory a = made[made.length - 1];
        index = _bound(index, 0, a.size - 1);
        if (log.demandOf(logId, uint64(index)).state != IAnchorLog.DemandState.None) return;
        _pass(1 days);
        VM.prank(_operator(2));
        log.demand(logId, uint64(index));
        bytes32[] memory leaves = Trees.leaves(a.size, _seeds[logId]);
        log.answer(logId, a, uint64(index), leaves[index], Trees.inclusion(leaves, index, 0, a.size));
    }

    // ------------------------------------------------------------------------------------------ the other way

    /// @dev A rewritten leaf, a smaller or equal size, a proof with a wrong hash, a log that is closed, or a stranger.
    function cheat(uint256 which, uint256 how, uint256 growth, uint256 position) external {
        bytes32 logId = _pick(which);
        (uint64 oldSize,,,,) = log.head(logId);
        how = _bound(how, 0, 3);
        if (oldSize == 0 || oldSize == MOST_LEAVES) return;
        uint64 size = oldSize + uint64(_bound(growth, 1, MOST_LEAVES - oldSize));
        bytes32[] memory leaves = Trees.leaves(size, _seeds[logId]);
        if (how == 0) leaves[_bound(position, 0, oldSize - 1)] = sha256("rewritten");
        bytes32[] memory proof = Trees.consistency(leaves, oldSize, size);
        if (how == 1) proof[_bound(position, 0, proof.length - 1)] = sha256("wrong");
        if (how == 2) size = uint64(_bound(position, 0, oldSize));
        bytes32 root = Trees.root(leaves, 0, size == 0 ? 1 : size);
        VM.prank(how == 3 ? _operator(2) : _operator(1));
        try log.anchor(logId, size, root, proof) {
            broken++;
        } catch {}
    }

    function anchorWithoutRight(uint256 which) external {
        bytes32 logId = _pick(which);
        if (_mayAnchor(logId)) return;
        (uint64 oldSize,,,,) = log.head(logId);
        if (oldSize == MOST_LEAVES) return;
        bytes32[] memory leaves = Trees.leaves(oldSize + 1, _seeds[logId]);
        bytes32 root = Trees.root(leaves, 0, oldSize + 1);
        bytes32[] memory proof = new bytes32[](0);
        if (oldSize != 0) proof = Trees.consistency(leaves, oldSize, oldSize + 1);
        VM.prank(_operator(1));
        try log.anchor(logId, oldSize + 1, root, proof) {
            broken++;
        } catch {}
    }

    function openAnother(uint8 kind, uint32 n, uint256 which) external {
        bytes32 predecessor = which % 3 == 0 ? bytes32(0) : _pick(which);
        kind = uint8(_bound(kind, RECORDS, ACCESS));
        n = uint32(_bound(n, 0, 3));
        bytes32 last = log.lastLog(_code(1), kind);
        IAnchorLog.LogInfo memory info = log.logInfo(last);
        if (predecessor == last && info.closed && n == info.n + 1) return;
        VM.prank(_operator(1));
        try log.openLog(kind, n, predecessor) {
            broken++;
        } catch {}
    }

    // ------------------------------------------------------------------------------------------ inside

    function _remember(bytes32 logId) private {
        logIds.push(logId);
        _seeds[logId] = logIds.length;
    }

    function _pick(uint256 which) private view returns (bytes32) {
        return logIds[which % logIds.length];
    }

    function _mayAnchor(bytes32 logId) private view returns (bool) {
        return !log.logInfo(logId).closed && registry.operatorOf(1) == _operator(1);
    }
}
