// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {IVoteTarget} from "../src/interfaces/IVoteTarget.sol";
import {Network} from "./support/Network.sol";

contract Target is IVoteTarget {
    address public caller;
    uint64 public id;
    bytes public data;

    function onVote(uint64 proposalId, bytes calldata given) external override {
        (caller, id, data) = (msg.sender, proposalId, given);
    }
}

contract VotesTest is Network {
    IMemberRegistry.Action internal constant SET_ROLES = IMemberRegistry.Action.SetRoles;
    IMemberRegistry.Action internal constant SUSPEND = IMemberRegistry.Action.Suspend;

    function _rolesOfOne(uint8 roles) private pure returns (bytes memory) {
        return abi.encode(_code(1), roles, true);
    }

    function _assertRoles(uint8 roles) private view {
        VM.assertEq(registry.member(_code(1)).roles, roles);
    }

    // ------------------------------------------------------------------------------------------ counting

    function test_moreThanTwoThirdsDecide() public {
        for (uint256 members = 1; members <= 20; members++) {
            _deploy(members);
            uint64 id = _propose(1, SET_ROLES, _rolesOfOne(8));
            uint256 votes = 1;
            while (3 * votes <= 2 * members) {
                _assertRoles(3);
                VM.assertFalse(registry.proposal(id).executed);
                VM.assertEq(registry.proposal(id).votes, votes);
                votes++;
                _vote(votes, id);
            }
            VM.assertTrue(registry.proposal(id).executed);
            _assertRoles(8);
            VM.assertEq(registry.proposal(id).needed, votes);
        }
    }

    function test_oneGoverningMemberDecidesAtOnce() public {
        _deploy(1);
        VM.expectEmit();
        emit IMemberRegistry.Proposed(1, _code(1), SET_ROLES, _rolesOfOne(8), START_TIME + 14 days);
        VM.expectEmit();
        emit IMemberRegistry.Voted(1, _code(1));
        VM.expectEmit();
        emit IMemberRegistry.Executed(1);
        VM.assertEq(_propose(1, SET_ROLES, _rolesOfOne(8)), 1);
        _assertRoles(8);
        VM.assertEq(registry.proposalCount(), 1);
    }

    function test_eachMemberVotesOnce() public {
        _deploy(4);
        uint64 id = _propose(1, SET_ROLES, _rolesOfOne(8));
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.AlreadyVoted.selector, id));
        registry.vote(id);
    }

    function test_voteOfASuspendedMemberDoesNotCount() public {
        _deploy(5);
        uint64 id = _propose(1, SET_ROLES, _rolesOfOne(8));
        _vote(2, id);
        _suspendTwo();
        VM.assertEq(registry.proposal(id).votes, 1);
        VM.assertEq(registry.proposal(id).needed, 3);
        _vote(3, id);
        _assertRoles(3);
        _vote(4, id);
        _assertRoles(8);
    }

    function test_votesSufficeOnceTheSetHasShrunk() public {
        _deploy(5);
        uint64 id = _propose(1, SET_ROLES, _rolesOfOne(8));
        _vote(3, id);
        _vote(4, id);
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotEnoughVotes.selector, 3, 4));
        registry.execute(id);
        _suspendTwo();
        registry.execute(id);
        _assertRoles(8);
    }

    function _suspendTwo() private {
        uint64 id = _propose(1, SUSPEND, abi.encode(_code(2)));
        _vote(3, id);
        _vote(4, id);
        _vote(5, id);
        VM.assertEq(registry.governingCount(), 4);
    }

    function test_memberConcernedHasNoVoiceInACompromiseOnly() public {
        _deploy(4);
        bytes32 key = _logKey(1, 3);
        bytes memory payload = abi.encode(_code(1), uint8(3), key, START_BLOCK);
        uint64 id = _propose(1, IMemberRegistry.Action.DeclareCompromised, payload);
        VM.assertEq(registry.proposal(id).votes, 0);
        VM.assertEq(registry.proposal(id).needed, 3);
        _vote(2, id);
        _vote(3, id);
        VM.assertEq(registry.compromisedFrom(_code(1), 3, key), 0);
        _vote(4, id);
        VM.assertEq(registry.compromisedFrom(_code(1), 3, key), START_BLOCK);

        id = _propose(1, SUSPEND, abi.encode(_code(1)));
        VM.assertEq(registry.proposal(id).votes, 1);
        VM.assertEq(registry.proposal(id).needed, 3);
    }

    function test_soleMemberDeclaresItsOwnKey() public {
        _deploy(1);
        bytes memory payload = abi.encode(_code(1), uint8(3), _logKey(1, 3), START_BLOCK);
        _propose(1, IMemberRegistry.Action.DeclareCompromised, payload);
        VM.assertEq(registry.compromisedFrom(_code(1), 3, _logKey(1, 3)), START_BLOCK);
    }

    // ------------------------------------------------------------------------------------------ who and when

    function test_onlyGoverningMembersProposeAndVote() public {
        _deploy(4);
        _decide(SET_ROLES, abi.encode(_code(1), uint8(3), false));
        uint64 id = _propose(2, SUSPEND, abi.encode(_code(1)));
        address[3] memory others = [_operator(1), _recovery(2), address(this)];
        for (uint256 k = 0; k < others.length; k++) {
            VM.prank(others[k]);
            VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, others[k]));
            registry.propose(SUSPEND, abi.encode(_code(2)));
            VM.prank(others[k]);
            VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, others[k]));
            registry.vote(id);
        }
    }

    function test_proposalExpires() public {
        _deploy(4);
        uint64 id = _propose(1, SET_ROLES, _rolesOfOne(8));
        _vote(2, id);
        _pass(14 days - 1);
        uint64 other = _propose(1, SET_ROLES, _rolesOfOne(4));
        _pass(1);
        VM.prank(_operator(3));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.ProposalClosed.selector, id));
        registry.vote(id);
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.ProposalClosed.selector, id));
        registry.execute(id);
        _vote(2, other);
        _vote(3, other);
        _assertRoles(4);
    }

    function test_executedProposalIsClosed() public {
        _deploy(1);
        uint64 id = _propose(1, SET_ROLES, _rolesOfOne(8));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.ProposalClosed.selector, id));
        registry.execute(id);
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.ProposalClosed.selector, id));
        registry.vote(id);
    }

    function test_unknownProposalAndUnknownSubjectAreRefused() public {
        _deploy(4);
        bytes memory reason = abi.encodeWithSelector(IMemberRegistry.UnknownProposal.selector, uint64(1));
        VM.prank(_operator(1));
        VM.expectRevert(reason);
        registry.vote(1);
        VM.expectRevert(reason);
        registry.execute(1);
        VM.expectRevert(reason);
        registry.proposal(1);
        VM.prank(_operator(1));
        VM.expectRevert(IMemberRegistry.UnknownMember.selector);
        registry.propose(SUSPEND, abi.encode(_code(9)));
        VM.prank(_operator(1));
        VM.expectRevert();
        registry.propose(SUSPEND, "short");
    }

    // ------------------------------------------------------------------------------------------ other contracts

    function test_voteReachesItsTarget() public {
        _deploy(1);
        Target target = new Target();
        _propose(1, IMemberRegistry.Action.Resolve, abi.encode(address(target), bytes("what was decided")));
        VM.assertEq(target.caller(), address(registry));
        VM.assertEq(target.id(), 1);
        VM.assertEq(keccak256(target.data()), keccak256("what was decided"));
    }

    function test_voteForATargetWithoutCodeFails() public {
        _deploy(1);
        VM.prank(_operator(1));
        VM.expectRevert();
        registry.propose(IMemberRegistry.Action.Resolve, abi.encode(address(0xbeef), bytes("")));
        VM.assertEq(registry.proposalCount(), 0);
    }
}
