// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MemberRegistry} from "../src/MemberRegistry.sol";
import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Network} from "./support/Network.sol";

contract MembersTest is Network {
    IMemberRegistry.Action internal constant ADD = IMemberRegistry.Action.AddMember;
    IMemberRegistry.Action internal constant SET_ADDRESSES = IMemberRegistry.Action.SetAddresses;

    function setUp() public {
        _deploy(4);
    }

    function _adding(uint256 number, uint8 roles, bool governing) private pure returns (bytes memory) {
        return abi.encode(_code(number), _operator(number), _recovery(number), roles, governing);
    }

    function _assertStatus(uint256 number, IMemberRegistry.Status status) private view {
        VM.assertEq(uint256(registry.member(_code(number)).status), uint256(status));
    }

    // ------------------------------------------------------------------------------------------ deployment

    function test_foundersAreMembers() public view {
        IMemberRegistry.Member[] memory all = registry.members();
        VM.assertEq(all.length, 4);
        for (uint32 number = 1; number <= 4; number++) {
            IMemberRegistry.Member memory m = all[number - 1];
            VM.assertTrue(m.code == _code(number));
            VM.assertEq(m.number, number);
            VM.assertEq(uint256(m.status), uint256(IMemberRegistry.Status.Active));
            VM.assertEq(m.roles, 3);
            VM.assertTrue(m.governing);
            VM.assertEq(m.operator, _operator(number));
            VM.assertEq(m.recovery, _recovery(number));
            VM.assertEq(m.pendingOperator, address(0));
            VM.assertEq(m.sinceBlock, START_BLOCK);
            VM.assertEq(registry.operatorOf(number), _operator(number));
            VM.assertEq(registry.recoveryOf(number), _recovery(number));
            (uint32 found, bytes18 code) = registry.memberOf(_operator(number));
            VM.assertEq(found, number);
            VM.assertTrue(code == _code(number));
        }
        VM.assertEq(registry.governingCount(), 4);
    }

    function test_strangersAreNobody() public {
        (uint32 number, bytes18 code) = registry.memberOf(address(this));
        VM.assertEq(number, 0);
        VM.assertTrue(code == bytes18(0));
        VM.assertEq(registry.operatorOf(0), address(0));
        VM.assertEq(registry.operatorOf(5), address(0));
        VM.expectRevert(IMemberRegistry.UnknownMember.selector);
        registry.member(_code(5));
        VM.expectRevert(IMemberRegistry.UnknownMember.selector);
        registry.keys(_code(5), 1);
        VM.expectRevert(IMemberRegistry.UnknownMember.selector);
        registry.keyAt(_code(5), 1, 1);
        VM.expectRevert(IMemberRegistry.UnknownMember.selector);
        registry.compromisedFrom(_code(5), 1, 0);
    }

    function test_networkNeedsAGoverningFounder() public {
        VM.expectRevert(IMemberRegistry.LastGoverningMember.selector);
        new MemberRegistry(new IMemberRegistry.Founder[](0));
        IMemberRegistry.Founder[] memory founders = new IMemberRegistry.Founder[](1);
        founders[0] = _founder(1);
        founders[0].governing = false;
        VM.expectRevert(IMemberRegistry.LastGoverningMember.selector);
        new MemberRegistry(founders);
    }

    function test_founderTwiceIsRefused() public {
        IMemberRegistry.Founder[] memory founders = new IMemberRegistry.Founder[](2);
        (founders[0], founders[1]) = (_founder(1), _founder(1));
        VM.expectRevert(
            abi.encodeWithSelector(IMemberRegistry.WrongStatus.selector, _code(1), IMemberRegistry.Status.Active)
        );
        new MemberRegistry(founders);
    }

    function testFuzz_codesHaveTheAlphabetOfTheUscc(uint256 position, uint8 character) public {
        bytes memory text = abi.encodePacked(_code(5));
        text[_bound(position, 0, 17)] = bytes1(character);
        bytes18 code = bytes18(bytes32(text));
        bool known = false;
        bytes memory alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY";
        for (uint256 k = 0; k < alphabet.length; k++) {
            if (alphabet[k] == bytes1(character)) known = true;
        }
        IMemberRegistry.Founder[] memory founders = new IMemberRegistry.Founder[](1);
        founders[0] = _founder(5);
        founders[0].code = code;
        if (!known) VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.MalformedCode.selector, code));
        new MemberRegistry(founders);
    }

    // ------------------------------------------------------------------------------------------ joining and leaving

    function test_memberJoinsByVote() public {
        uint64 id = _gather(ADD, _adding(5, 4, false));
        VM.expectEmit();
        emit IMemberRegistry.MemberAdded(_code(5), 5, _operator(5), _recovery(5), 4, false);
        _vote(4, id);
        VM.assertEq(registry.members().length, 5);
        VM.assertEq(registry.operatorOf(5), _operator(5));
        VM.assertEq(registry.governingCount(), 4);
    }

    function test_joiningWithAnUnusableAddressIsRefused() public {
        bytes memory reason = abi.encodeWithSelector(IMemberRegistry.UnusableAddress.selector, _operator(1));
        _decideRefused(ADD, abi.encode(_code(5), _operator(1), _recovery(5), uint8(1), false), reason);
        _decideRefused(ADD, abi.encode(_code(5), _operator(5), _operator(1), uint8(1), false), reason);
        reason = abi.encodeWithSelector(IMemberRegistry.UnusableAddress.selector, _operator(5));
        _decideRefused(ADD, abi.encode(_code(5), _operator(5), _operator(5), uint8(1), false), reason);
        reason = abi.encodeWithSelector(IMemberRegistry.UnusableAddress.selector, address(0));
        _decideRefused(ADD, abi.encode(_code(5), address(0), _recovery(5), uint8(1), false), reason);
        _decideRefused(ADD, abi.encode(_code(5), _operator(5), address(0), uint8(1), false), reason);
    }

    function test_joiningTwiceOrWithUnknownRolesIsRefused() public {
        bytes memory reason =
            abi.encodeWithSelector(IMemberRegistry.WrongStatus.selector, _code(1), IMemberRegistry.Status.Active);
        _decideRefused(ADD, _adding(1, 3, true), reason);
        reason = abi.encodeWithSelector(IMemberRegistry.UnknownRoles.selector, uint8(32));
        _decideRefused(ADD, _adding(5, 32, true), reason);
    }

    function test_suspendedMemberHasNoVoiceUntilResumed() public {
        uint64 id = _gather(IMemberRegistry.Action.Suspend, abi.encode(_code(1)));
        VM.expectEmit();
        emit IMemberRegistry.StatusChanged(_code(1), IMemberRegistry.Status.Suspended);
        _vote(4, id);
        VM.assertEq(registry.governingCount(), 3);
        VM.assertEq(registry.operatorOf(1), address(0));
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, _operator(1)));
        registry.propose(IMemberRegistry.Action.Resume, abi.encode(_code(1)));
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, _operator(1)));
        registry.registerKeys(new IMemberRegistry.KeyInput[](0));
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, _operator(1)));
        registry.rotateOperator(address(0xbeef));
        _decide(IMemberRegistry.Action.Resume, abi.encode(_code(1)));
        VM.assertEq(registry.governingCount(), 4);
        VM.assertEq(registry.operatorOf(1), _operator(1));
    }

    function test_removedMemberJoinsAgainUnderItsNumber() public {
        _decide(IMemberRegistry.Action.Remove, abi.encode(_code(1)));
        _assertStatus(1, IMemberRegistry.Status.Removed);
        VM.assertEq(registry.governingCount(), 3);
        _pass(10);
        _decide(ADD, abi.encode(_code(1), address(0xbeef), _recovery(1), uint8(1), false));
        IMemberRegistry.Member memory m = registry.member(_code(1));
        VM.assertEq(m.number, 1);
        VM.assertEq(m.operator, address(0xbeef));
        VM.assertEq(m.sinceBlock, START_BLOCK + 10);
        VM.assertEq(registry.members().length, 4);
        (uint32 number,) = registry.memberOf(_operator(1));
        VM.assertEq(number, 0);
    }

    function test_statusChangesFollowTheirOrder() public {
        IMemberRegistry.Action[3] memory actions =
            [IMemberRegistry.Action.Suspend, IMemberRegistry.Action.Resume, IMemberRegistry.Action.Remove];
        // Rows: status now; columns: suspend, resume, remove.
        bool[3][3] memory allowed = [[true, false, true], [false, true, true], [false, false, false]];
        bytes memory payload = abi.encode(_code(1));
        for (uint256 row = 0; row < 3; row++) {
            IMemberRegistry.Status status = IMemberRegistry.Status(row + 1);
            for (uint256 column = 0; column < 3; column++) {
                if (allowed[row][column]) continue;
                bytes memory reason = abi.encodeWithSelector(IMemberRegistry.WrongStatus.selector, _code(1), status);
                _decideRefused(actions[column], payload, reason);
            }
            if (row == 0) _decide(IMemberRegistry.Action.Suspend, payload);
            if (row == 1) _decide(IMemberRegistry.Action.Remove, payload);
        }
        bytes memory removed =
            abi.encodeWithSelector(IMemberRegistry.WrongStatus.selector, _code(1), IMemberRegistry.Status.Removed);
        _decideRefused(IMemberRegistry.Action.SetRoles, abi.encode(_code(1), uint8(1), true), removed);
        _decideRefused(SET_ADDRESSES, abi.encode(_code(1), address(0xbeef), _recovery(1)), removed);
    }

    function test_rolesAndVoteChangeByVote() public {
        uint64 id = _gather(IMemberRegistry.Action.SetRoles, abi.encode(_code(1), uint8(31), false));
        VM.expectEmit();
        emit IMemberRegistry.RolesChanged(_code(1), 31, false);
        _vote(4, id);
        IMemberRegistry.Member memory m = registry.member(_code(1));
        VM.assertEq(m.roles, 31);
        VM.assertFalse(m.governing);
        VM.assertEq(registry.governingCount(), 3);
    }

    function test_lastGoverningMemberStays() public {
        _deploy(1);
        bytes memory payload = abi.encode(_code(1));
        IMemberRegistry.Action[2] memory actions = [IMemberRegistry.Action.Suspend, IMemberRegistry.Action.Remove];
        for (uint256 k = 0; k < actions.length; k++) {
            VM.prank(_operator(1));
            VM.expectRevert(IMemberRegistry.LastGoverningMember.selector);
            registry.propose(actions[k], payload);
        }
        VM.prank(_operator(1));
        VM.expectRevert(IMemberRegistry.LastGoverningMember.selector);
        registry.propose(IMemberRegistry.Action.SetRoles, abi.encode(_code(1), uint8(1), false));
    }

    // ------------------------------------------------------------------------------------------ operator and recovery key

    function test_operatorKeyRotatesAfterADay() public {
        address next = address(0xbeef);
        VM.expectEmit();
        emit IMemberRegistry.RotationStarted(_code(1), _operator(1), next, START_TIME + 24 hours);
        VM.prank(_operator(1));
        registry.rotateOperator(next);
        VM.assertEq(registry.member(_code(1)).pendingOperator, next);
        VM.assertEq(registry.member(_code(1)).rotationAt, START_TIME + 24 hours);
        _pass(24 hours - 1);
        VM.assertEq(registry.operatorOf(1), _operator(1));
        _pass(1);
        VM.assertEq(registry.operatorOf(1), next);
        VM.assertEq(registry.member(_code(1)).operator, next);
        VM.assertEq(registry.member(_code(1)).pendingOperator, address(0));
        VM.assertEq(registry.member(_code(1)).rotationAt, 0);
        (uint32 number,) = registry.memberOf(_operator(1));
        VM.assertEq(number, 0);
        (number,) = registry.memberOf(next);
        VM.assertEq(number, 1);
        VM.prank(next);
        registry.rotateOperator(address(0xcafe));
        _pass(24 hours);
        VM.assertEq(registry.operatorOf(1), address(0xcafe));
    }

    function test_oneRotationAtATimeToAnAddressNeverUsed() public {
        address[4] memory unusable = [address(0), _operator(1), _operator(2), _recovery(1)];
        for (uint256 k = 0; k < unusable.length; k++) {
            VM.prank(_operator(1));
            VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.UnusableAddress.selector, unusable[k]));
            registry.rotateOperator(unusable[k]);
        }
        VM.prank(_operator(1));
        registry.rotateOperator(address(0xbeef));
        VM.prank(_operator(1));
        VM.expectRevert(IMemberRegistry.RotationPending.selector);
        registry.rotateOperator(address(0xcafe));
    }

    function test_recoveryKeyOrVoteCancelsARotation() public {
        VM.prank(_operator(1));
        registry.rotateOperator(address(0xbeef));
        address[3] memory others = [_operator(1), _recovery(2), address(this)];
        for (uint256 k = 0; k < others.length; k++) {
            VM.prank(others[k]);
            VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, others[k]));
            registry.cancelRotation(_code(1));
        }
        VM.expectEmit();
        emit IMemberRegistry.RotationCancelled(_code(1), address(0xbeef));
        VM.prank(_recovery(1));
        registry.cancelRotation(_code(1));
        VM.prank(_operator(1));
        registry.rotateOperator(address(0xcafe));
        _decide(IMemberRegistry.Action.CancelRotation, abi.encode(_code(1)));
        _pass(48 hours);
        VM.assertEq(registry.operatorOf(1), _operator(1));
        VM.prank(_recovery(1));
        VM.expectRevert(IMemberRegistry.NoRotation.selector);
        registry.cancelRotation(_code(1));
    }

    function test_rotationThatTookEffectIsNotCancelled() public {
        VM.prank(_operator(1));
        registry.rotateOperator(address(0xbeef));
        _pass(24 hours);
        VM.prank(_recovery(1));
        VM.expectRevert(IMemberRegistry.NoRotation.selector);
        registry.cancelRotation(_code(1));
        VM.assertEq(registry.operatorOf(1), address(0xbeef));
    }

    function test_voteReplacesALostKeyAtOnce() public {
        VM.prank(_operator(1));
        registry.rotateOperator(address(0xbeef));
        uint64 id = _gather(SET_ADDRESSES, abi.encode(_code(1), address(0xcafe), address(0xd00d)));
        VM.expectEmit();
        emit IMemberRegistry.AddressesChanged(_code(1), address(0xcafe), address(0xd00d));
        _vote(4, id);
        _pass(48 hours);
        VM.assertEq(registry.operatorOf(1), address(0xcafe));
        VM.assertEq(registry.recoveryOf(1), address(0xd00d));
        bytes memory reason = abi.encodeWithSelector(IMemberRegistry.UnusableAddress.selector, _operator(2));
        _decideRefused(SET_ADDRESSES, abi.encode(_code(1), _operator(2), address(0xd00d)), reason);
    }

    function test_recoveryKeyHandsItselfOver() public {
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, _operator(1)));
        registry.changeRecovery(_code(1), address(0xbeef));
        VM.prank(_recovery(1));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.UnusableAddress.selector, _operator(1)));
        registry.changeRecovery(_code(1), _operator(1));
        VM.expectEmit();
        emit IMemberRegistry.RecoveryChanged(_code(1), address(0xbeef));
        VM.prank(_recovery(1));
        registry.changeRecovery(_code(1), address(0xbeef));
        VM.assertEq(registry.recoveryOf(1), address(0xbeef));
    }
}
