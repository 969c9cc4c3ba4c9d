// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMemberRegistry} from "./interfaces/IMemberRegistry.sol";
import {IVoteTarget} from "./interfaces/IVoteTarget.sol";
import {MemberEndpoints} from "./MemberEndpoints.sol";

/// @title MemberRegistry
/// @notice See IMemberRegistry.
contract MemberRegistry is MemberEndpoints {
    /// @notice Seconds between a member's announcement of a new operator key and its effect.
    uint64 public constant ROTATION_DELAY_SECONDS = 24 hours;
    /// @notice Seconds in which a proposal can gather its votes.
    uint64 public constant PROPOSAL_LIFETIME_SECONDS = 14 days;

    uint8 private constant ALL_ROLES = 0x1f;
    /// @dev Bit c is set when the ASCII character c may stand in a USCC: 0–9 and A–Z without I, O, S, V, Z.
    uint256 private constant CODE_CHARACTERS =
        (0x3ff << 48) | (((1 << 26) - 1 - (1 << 8) - (1 << 14) - (1 << 18) - (1 << 21) - (1 << 25)) << 65);

    /// @dev The first slot holds all that an anchor needs.
    struct Entry {
        address operator;
        Status status;
        uint8 roles;
        bool governing;
        uint64 rotationAt;
        //
        address recovery;
        uint64 sinceBlock;
        //
        address pendingOperator;
        //
        bytes18 code;
    }

    struct Ballot {
        Action action;
        bool executed;
        uint32 proposer;
        // Member that the proposal is about, or 0.
        uint32 subject;
        uint64 expiresAt;
        uint32[] voters;
        bytes payload;
    }

    /// @inheritdoc IMemberRegistry
    uint32 public override governingCount;
    /// @inheritdoc IMemberRegistry
    uint64 public override proposalCount;
    uint32 private _memberCount;
    mapping(uint32 number => Entry) private _entries;
    mapping(bytes18 code => uint32 number) private _numberOf;
    /// @dev Every address that is, was or was announced to be a member's operator key.
    mapping(address operator => uint32 number) private _numberOfOperator;
    mapping(uint64 id => Ballot) private _ballots;
    mapping(uint64 id => mapping(uint32 number => bool)) private _hasVoted;

    /// @param founders The first members, at least one of them governing.
    constructor(Founder[] memory founders) {
        for (uint256 k = 0; k < founders.length; k++) {
            Founder memory f = founders[k];
            _addMember(f.code, f.operator, f.recovery, f.roles, f.governing);
        }
        if (governingCount == 0) revert LastGoverningMember();
    }

    // ------------------------------------------------------------------------------------------------- operator and recovery

    /// @inheritdoc IMemberRegistry
    function rotateOperator(address newOperator) external {
        (uint32 number, bytes18 code) = _requireActive();
        Entry storage e = _entries[number];
        _settleRotation(e);
        if (e.rotationAt != 0) revert RotationPending();
        // An address that was an operator key before, even one's own, may be in other hands by now.
        if (newOperator == address(0) || newOperator == e.recovery || _numberOfOperator[newOperator] != 0) {
            revert UnusableAddress(newOperator);
        }
        _numberOfOperator[newOperator] = number;
        e.pendingOperator = newOperator;
        e.rotationAt = uint64(block.timestamp) + ROTATION_DELAY_SECONDS;
        emit RotationStarted(code, e.operator, newOperator, e.rotationAt);
    }

    /// @inheritdoc IMemberRegistry
    function cancelRotation(bytes18 code) external {
        _cancelRotation(_requireRecovery(code));
    }

    /// @inheritdoc IMemberRegistry
    function changeRecovery(bytes18 code, address newRecovery) external {
        Entry storage e = _requireRecovery(code);
        _setRecovery(e, newRecovery);
        emit RecoveryChanged(code, newRecovery);
    }

    // ------------------------------------------------------------------------------------------------- votes

    /// @inheritdoc IMemberRegistry
    function propose(Action action, bytes calldata payload) external returns (uint64 id) {
        uint32 proposer = _requireGoverning();
        id = ++proposalCount;
        Ballot storage b = _ballots[id];
        b.action = action;
        b.proposer = proposer;
        b.subject = _subjectOf(action, payload);
        b.expiresAt = uint64(block.timestamp) + PROPOSAL_LIFETIME_SECONDS;
        b.payload = payload;
        emit Proposed(id, _entries[proposer].code, action, payload, b.expiresAt);
        _vote(id, b, proposer);
    }

    /// @inheritdoc IMemberRegistry
    function vote(uint64 id) external {
        uint32 voter = _requireGoverning();
        Ballot storage b = _openBallot(id);
        if (_hasVoted[id][voter]) revert AlreadyVoted(id);
        _vote(id, b, voter);
    }

    /// @inheritdoc IMemberRegistry
    function execute(uint64 id) external {
        Ballot storage b = _openBallot(id);
        (uint32 votes, uint32 needed) = _tally(b);
        if (votes < needed) revert NotEnoughVotes(votes, needed);
        _execute(id, b);
    }

    // ------------------------------------------------------------------------------------------------- reading

    /// @inheritdoc IMemberRegistry
    function operatorOf(uint32 number) public view returns (address) {
        Entry storage e = _entries[number];
        address operator = _operator(e);
        return e.status == Status.Active ? operator : address(0);
    }

    /// @inheritdoc IMemberRegistry
    function recoveryOf(uint32 number) external view returns (address) {
        return _entries[number].recovery;
    }

    /// @inheritdoc IMemberRegistry
    function memberOf(address operator) public view override returns (uint32 number, bytes18 code) {
        number = _numberOfOperator[operator];
        if (number == 0 || operatorOf(number) != operator) return (0, 0);
        code = _entries[number].code;
    }

    /// @inheritdoc IMemberRegistry
    function member(bytes18 code) external view returns (Member memory) {
        return _member(_requireNumber(code));
    }

    /// @inheritdoc IMemberRegistry
    function members() external view returns (Member[] memory all) {
        all = new Member[](_memberCount);
        for (uint32 number = 1; number <= _memberCount; number++) {
            all[number - 1] = _member(number);
        }
    }

    /// @inheritdoc IMemberRegistry
    function proposal(uint64 id) external view returns (Proposal memory) {
        Ballot storage b = _ballots[id];
        if (b.proposer == 0) revert UnknownProposal(id);
        (uint32 votes, uint32 needed) = _tally(b);
        return Proposal(b.action, b.executed, b.proposer, b.expiresAt, votes, needed, b.payload);
    }

    // ------------------------------------------------------------------------------------------------- members

    function _addMember(bytes18 code, address operator, address recovery, uint8 roles, bool governing) private {
        if (!_isCode(code)) revert MalformedCode(code);
        uint32 number = _numberOf[code];
        if (number == 0) {
            number = ++_memberCount;
            _numberOf[code] = number;
            _entries[number].code = code;
        }
        Entry storage e = _entries[number];
        if (e.status != Status.None && e.status != Status.Removed) revert WrongStatus(code, e.status);
        _setAddresses(number, e, operator, recovery);
        _setStanding(e, Status.Active, roles, governing);
        e.sinceBlock = uint64(block.number);
        emit MemberAdded(code, number, operator, recovery, roles, governing);
    }

    function _setStatus(Entry storage e, Status status) private {
        bool allowed = status == Status.Removed
            ? e.status != Status.Removed
            : e.status == (status == Status.Suspended ? Status.Active : Status.Suspended);
        if (!allowed) revert WrongStatus(e.code, e.status);
        _setStanding(e, status, e.roles, e.governing);
        emit StatusChanged(e.code, status);
    }

    function _setStanding(Entry storage e, Status status, uint8 roles, bool governing) private {
        if (roles & ~ALL_ROLES != 0) revert UnknownRoles(roles);
        bool counted = _counts(e);
        e.status = status;
        e.roles = roles;
        e.governing = governing;
        if (_counts(e) == counted) return;
        if (!counted) {
            governingCount++;
        } else {
            if (governingCount == 1) revert LastGoverningMember();
            governingCount--;
        }
    }

    function _setAddresses(uint32 number, Entry storage e, address operator, address recovery) private {
        uint32 holder = _numberOfOperator[operator];
        if (operator == address(0) || (holder != 0 && holder != number)) revert UnusableAddress(operator);
        _numberOfOperator[operator] = number;
        e.operator = operator;
        e.pendingOperator = address(0);
        e.rotationAt = 0;
        _setRecovery(e, recovery);
    }

    function _setRecovery(Entry storage e, address recovery) private {
        if (recovery == address(0) || _numberOfOperator[recovery] != 0) revert UnusableAddress(recovery);
        e.recovery = recovery;
    }

    function _cancelRotation(Entry storage e) private {
        if (e.rotationAt == 0 || block.timestamp >= e.rotationAt) revert NoRotation();
        emit RotationCancelled(e.code, e.pendingOperator);
        e.pendingOperator = address(0);
        e.rotationAt = 0;
    }

    function _settleRotation(Entry storage e) private {
        if (e.rotationAt == 0 || block.timestamp < e.rotationAt) return;
        e.operator = e.pendingOperator;
        e.pendingOperator = address(0);
        e.rotationAt = 0;
    }

    function _operator(Entry storage e) private view returns (address) {
        (address operator, uint64 rotationAt) = (e.operator, e.rotationAt);
        return rotationAt != 0 && block.timestamp >= rotationAt ? e.pendingOperator : operator;
    }

    function _member(uint32 number) private view returns (Member memory) {
        Entry storage e = _entries[number];
        address operator = _operator(e);
        bool pending = operator != e.pendingOperator;
        return Member({
            code: e.code,
            number: number,
            status: e.status,
            roles: e.roles,
            governing: e.governing,
            operator: operator,
            recovery: e.recovery,
            pendingOperator: pending ? e.pendingOperator : address(0),
            rotationAt: pending ? e.rotationAt : 0,
            sinceBlock: e.sinceBlock
        });
    }

    function _counts(Entry storage e) private view returns (bool) {
        return e.governing && e.status == Status.Active;
    }

    function _isCode(bytes18 code) private pure returns (bool) {
        for (uint256 k = 0; k < 18; k++) {
            if ((CODE_CHARACTERS >> uint8(code[k])) & 1 == 0) return false;
        }
        return true;
    }

    // ------------------------------------------------------------------------------------------------- ballots

    function _vote(uint64 id, Ballot storage b, uint32 voter) private {
        _hasVoted[id][voter] = true;
        b.voters.push(voter);
        emit Voted(id, _entries[voter].code);
        (uint32 votes, uint32 needed) = _tally(b);
        if (votes >= needed) _execute(id, b);
    }

    /// @dev Counted anew each time, because members may have been suspended or joined since a vote was cast. A member has
    /// no voice in whether its own key counts as compromised, unless there is nobody else. In all other matters the member
    /// concerned is counted like any other: if it were not, three fifths could remove the rest one by one.
    function _tally(Ballot storage b) private view returns (uint32 votes, uint32 needed) {
        uint32 electorate = governingCount;
        uint32 excluded = 0;
        if (b.action == Action.DeclareCompromised && electorate > 1 && _counts(_entries[b.subject])) {
            excluded = b.subject;
            electorate--;
        }
        for (uint256 k = 0; k < b.voters.length; k++) {
            uint32 voter = b.voters[k];
            if (voter != excluded && _counts(_entries[voter])) votes++;
        }
        // The least whole number that is more than two thirds.
        needed = (2 * electorate) / 3 + 1;
    }

    function _execute(uint64 id, Ballot storage b) private {
        b.executed = true;
        emit Executed(id);
        _apply(id, b.action, b.subject, b.payload);
    }

    function _apply(uint64 id, Action action, uint32 subject, bytes memory payload) private {
        Entry storage e = _entries[subject];
        if (action == Action.AddMember) {
            (bytes18 code, address operator, address recovery, uint8 roles, bool governing) =
                abi.decode(payload, (bytes18, address, address, uint8, bool));
            _addMember(code, operator, recovery, roles, governing);
        } else if (action == Action.Suspend) {
            _setStatus(e, Status.Suspended);
        } else if (action == Action.Resume) {
            _setStatus(e, Status.Active);
        } else if (action == Action.Remove) {
            _setStatus(e, Status.Removed);
        } else if (action == Action.SetRoles) {
            (, uint8 roles, bool governing) = abi.decode(payload, (bytes18, uint8, bool));
            _requirePresent(e);
            _setStanding(e, e.status, roles, governing);
            emit RolesChanged(e.code, roles, governing);
        } else if (action == Action.SetAddresses) {
            (, address operator, address recovery) = abi.decode(payload, (bytes18, address, address));
            _requirePresent(e);
            _setAddresses(subject, e, operator, recovery);
            emit AddressesChanged(e.code, operator, recovery);
        } else if (action == Action.DeclareCompromised) {
            (, uint8 kind, bytes32 key, uint64 fromBlock) = abi.decode(payload, (bytes18, uint8, bytes32, uint64));
            _declareCompromised(subject, e.code, kind, key, fromBlock);
        } else if (action == Action.CancelRotation) {
            _cancelRotation(e);
        } else {
            (address target, bytes memory data) = abi.decode(payload, (address, bytes));
            IVoteTarget(target).onVote(id, data);
        }
    }

    function _subjectOf(Action action, bytes calldata payload) private view returns (uint32) {
        if (action == Action.AddMember || action == Action.Resolve) return 0;
        return _requireNumber(abi.decode(payload, (bytes18)));
    }

    function _openBallot(uint64 id) private view returns (Ballot storage b) {
        b = _ballots[id];
        if (b.proposer == 0) revert UnknownProposal(id);
        if (b.executed || block.timestamp >= b.expiresAt) revert ProposalClosed(id);
    }

    // ------------------------------------------------------------------------------------------------- callers

    function _requireGoverning() private view returns (uint32 number) {
        (number,) = _requireActive();
        if (!_entries[number].governing) revert NotAuthorised(msg.sender);
    }

    function _requireRecovery(bytes18 code) private view returns (Entry storage e) {
        e = _entries[_requireNumber(code)];
        if (e.recovery != msg.sender) revert NotAuthorised(msg.sender);
    }

    function _requireNumber(bytes18 code) internal view override returns (uint32 number) {
        number = _numberOf[code];
        if (number == 0) revert UnknownMember();
    }

    function _wasOperator(address account, uint32 number) internal view override returns (bool) {
        return _numberOfOperator[account] == number;
    }

    function _requirePresent(Entry storage e) private view {
        if (e.status == Status.Removed) revert WrongStatus(e.code, e.status);
    }
}
