// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAnchorLog} from "../src/interfaces/IAnchorLog.sol";
import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Network} from "./support/Network.sol";
import {Trees} from "./support/Trees.sol";

contract DemandsTest is Network {
    uint64 internal constant SIZE = 40;

    bytes32[] internal leaves;
    bytes32 internal logId;
    IAnchorLog.Anchor internal a;

    function setUp() public {
        _deploy(4);
        leaves = Trees.leaves(SIZE, 1);
        logId = _openFirst(1, ACCESS);
        bytes32 root = Trees.root(leaves, 0, SIZE);
        VM.prank(_operator(1));
        log.anchor(logId, SIZE, root, new bytes32[](0));
        a = IAnchorLog.Anchor(1, 0, START_BLOCK, START_TIME, SIZE, root, 0, 0);
        (a.block, a.time) = (uint64(block.number), uint64(block.timestamp));
    }

    function _demand(uint256 number, uint64 index) private {
        VM.prank(_operator(number));
        log.demand(logId, index);
    }

    function _answer(uint64 index) private {
        log.answer(logId, a, index, leaves[index], Trees.inclusion(leaves, index, 0, SIZE));
    }

    function _assertState(uint64 index, IAnchorLog.DemandState state, bytes32 leafHash) private view {
        IAnchorLog.Demand memory d = log.demandOf(logId, index);
        VM.assertEq(uint256(d.state), uint256(state), "state");
        VM.assertEq(d.leafHash, leafHash, "leaf");
    }

    function test_answerPinsTheLeaf() public {
        VM.expectEmit();
        emit IAnchorLog.Demanded(logId, 7, _code(2));
        _demand(2, 7);
        _assertState(7, IAnchorLog.DemandState.Open, 0);
        VM.assertEq(log.demandOf(logId, 7).by, 2);
        VM.assertEq(log.demandOf(logId, 7).demandedAt, START_TIME);
        VM.expectEmit();
        emit IAnchorLog.Answered(logId, 7, leaves[7]);
        _answer(7);
        _assertState(7, IAnchorLog.DemandState.Answered, leaves[7]);
    }

    function test_answerNeedsADemandAndAProof() public {
        bytes32[] memory path = Trees.inclusion(leaves, 7, 0, SIZE);
        IAnchorLog.DemandState none = IAnchorLog.DemandState.None;
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.WrongDemandState.selector, none));
        log.answer(logId, a, 7, leaves[7], path);
        _demand(2, 7);
        VM.expectRevert(IAnchorLog.NotIncluded.selector);
        log.answer(logId, a, 7, leaves[8], path);
        _answer(7);
        IAnchorLog.DemandState answered = IAnchorLog.DemandState.Answered;
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.WrongDemandState.selector, answered));
        log.answer(logId, a, 7, leaves[7], path);
    }

    function test_onlyActiveMembersDemand() public {
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, address(this)));
        log.demand(logId, 7);
        _decide(IMemberRegistry.Action.Suspend, abi.encode(_code(1)));
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, _operator(1)));
        log.demand(logId, 7);
    }

    function test_whatIsNotAnchoredCannotBeDemanded() public {
        VM.prank(_operator(2));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.IndexOutOfRange.selector, SIZE, SIZE));
        log.demand(logId, SIZE);
        VM.prank(_operator(2));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.UnknownLog.selector, bytes32(0)));
        log.demand(0, 0);
    }

    function test_anIndexIsDemandedOnce() public {
        _demand(2, 7);
        IAnchorLog.DemandState open = IAnchorLog.DemandState.Open;
        VM.prank(_operator(3));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.WrongDemandState.selector, open));
        log.demand(logId, 7);
    }

    function test_demandsAreLimitedPerMemberAndDay() public {
        for (uint64 index = 0; index < 16; index++) {
            _demand(2, index);
        }
        VM.prank(_operator(2));
        VM.expectRevert(IAnchorLog.TooManyDemands.selector);
        log.demand(logId, 16);
        _demand(3, 16);
        _pass(1 days - 1);
        VM.prank(_operator(2));
        VM.expectRevert(IAnchorLog.TooManyDemands.selector);
        log.demand(logId, 17);
        _pass(1);
        _demand(2, 17);
    }

    function test_unansweredDemandBecomesADefault() public {
        _demand(2, 7);
        _pass(24 hours);
        VM.expectRevert(IAnchorLog.NotYetDue.selector);
        log.recordDefault(logId, 7);
        _pass(1);
        VM.expectEmit();
        emit IAnchorLog.Overdue(logId, 7);
        log.recordDefault(logId, 7);
        _pass(99);
        VM.expectRevert(IAnchorLog.NotYetDue.selector);
        log.recordDefault(logId, 7);
        _pass(1);
        VM.expectEmit();
        emit IAnchorLog.Defaulted(logId, 7);
        log.recordDefault(logId, 7);
        _assertState(7, IAnchorLog.DemandState.Defaulted, 0);
    }

    function test_chainThatWasHaltedConvictsNobodyWhenItWakes() public {
        _demand(2, 7);
        VM.warp(block.timestamp + 3 days);
        VM.roll(block.number + 1);
        log.recordDefault(logId, 7);
        VM.expectRevert(IAnchorLog.NotYetDue.selector);
        log.recordDefault(logId, 7);
        _answer(7);
        VM.roll(block.number + 100);
        IAnchorLog.DemandState answered = IAnchorLog.DemandState.Answered;
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.WrongDemandState.selector, answered));
        log.recordDefault(logId, 7);
    }

    function test_lateAnswerPinsTheLeafAndStaysADefault() public {
        _demand(2, 7);
        _pass(24 hours + 1);
        log.recordDefault(logId, 7);
        _pass(100);
        log.recordDefault(logId, 7);
        _answer(7);
        _assertState(7, IAnchorLog.DemandState.Defaulted, leaves[7]);
        bytes32[] memory path = Trees.inclusion(leaves, 7, 0, SIZE);
        IAnchorLog.DemandState defaulted = IAnchorLog.DemandState.Defaulted;
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.WrongDemandState.selector, defaulted));
        log.answer(logId, a, 7, leaves[7], path);
    }

    function test_noDemandNoDefault() public {
        IAnchorLog.DemandState none = IAnchorLog.DemandState.None;
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.WrongDemandState.selector, none));
        log.recordDefault(logId, 7);
    }
}
