// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAnchorLog} from "../src/interfaces/IAnchorLog.sol";
import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Network} from "./support/Network.sol";

contract SuccessionTest is Network {
    bytes32 internal constant ROOT = keccak256("root");

    function setUp() public {
        _deploy(4);
    }

    function _open(uint8 kind, uint32 n, bytes32 predecessor) private returns (bytes32) {
        VM.prank(_operator(1));
        return log.openLog(kind, n, predecessor);
    }

    function _close(bytes32 logId) private {
        VM.prank(_operator(1));
        log.closeLog(logId);
    }

    function _closeByVote(bytes32 logId, uint64 lastGood) private {
        _decide(IMemberRegistry.Action.Resolve, _closing(1, logId, lastGood));
    }

    function _closing(uint8 operation, bytes32 logId, uint64 lastGood) private view returns (bytes memory) {
        return abi.encode(address(log), abi.encode(operation, logId, lastGood));
    }

    // ------------------------------------------------------------------------------------------ opening

    function test_logIdIsTheHashOfTheOrigin() public {
        string memory origin = string.concat("demo.example/", string(abi.encodePacked(_code(1))), "/records/0");
        bytes32 logId = sha256(bytes(origin));
        VM.expectEmit();
        emit IAnchorLog.LogOpened(logId, _code(1), RECORDS, 0, 0, _logKey(1, 3), _logKey(1, 5), origin);
        VM.assertEq(_open(RECORDS, 0, 0), logId);
        origin = string.concat("demo.example/", string(abi.encodePacked(_code(1))), "/access/0");
        VM.assertEq(_open(ACCESS, 0, 0), sha256(bytes(origin)));
        VM.assertEq(log.lastLog(_code(1), RECORDS), logId);
        VM.assertEq(log.lastLog(_code(2), RECORDS), bytes32(0));

        IAnchorLog.LogInfo memory info = log.logInfo(logId);
        VM.assertTrue(info.member == _code(1));
        VM.assertEq(info.kind, RECORDS);
        VM.assertEq(info.openedBlock, START_BLOCK);
        VM.assertEq(info.ed25519, _logKey(1, 3));
        VM.assertEq(info.mlDsa44Digest, _logKey(1, 5));
        VM.assertFalse(info.closed);
    }

    function test_originOfALongSuccessionIsDecimal() public {
        bytes32 last = _open(RECORDS, 0, 0);
        for (uint32 n = 1; n <= 101; n++) {
            _close(last);
            _pass(24 hours);
            last = _open(RECORDS, n, last);
            string memory code = string(abi.encodePacked(_code(1)));
            VM.assertEq(last, sha256(bytes(string.concat("demo.example/", code, "/records/", VM.toString(n)))));
        }
    }

    function test_oneOpenLogPerMemberAndKind() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        VM.prank(_operator(1));
        VM.expectRevert(IAnchorLog.WrongSuccession.selector);
        log.openLog(RECORDS, 0, 0);
        VM.prank(_operator(1));
        VM.expectRevert(IAnchorLog.WrongSuccession.selector);
        log.openLog(RECORDS, 1, 0);
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.PredecessorOpen.selector, logId));
        log.openLog(RECORDS, 1, logId);
    }

    function test_firstLogHasNumberZeroAndNoPredecessor() public {
        VM.prank(_operator(1));
        VM.expectRevert(IAnchorLog.WrongSuccession.selector);
        log.openLog(RECORDS, 1, 0);
        bytes32 other = _open(ACCESS, 0, 0);
        VM.prank(_operator(1));
        VM.expectRevert(IAnchorLog.WrongSuccession.selector);
        log.openLog(RECORDS, 0, other);
    }

    function test_successorIsNumberedOneMore() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        _closeByVote(logId, 0);
        uint32[3] memory wrong = [uint32(0), 2, type(uint32).max];
        for (uint256 k = 0; k < wrong.length; k++) {
            VM.prank(_operator(1));
            VM.expectRevert(IAnchorLog.WrongSuccession.selector);
            log.openLog(RECORDS, wrong[k], logId);
        }
        _open(RECORDS, 1, logId);
    }

    function test_openingNeedsKindMemberAndKeys() public {
        for (uint8 kind = 0; kind <= 3; kind += 3) {
            VM.prank(_operator(1));
            VM.expectRevert(abi.encodeWithSelector(IAnchorLog.UnknownLogKind.selector, kind));
            log.openLog(kind, 0, 0);
        }
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, address(this)));
        log.openLog(RECORDS, 0, 0);
        VM.prank(_operator(1));
        registry.endKey(5);
        _pass(1);
        VM.prank(_operator(1));
        VM.expectRevert(IAnchorLog.LogKeysMissing.selector);
        log.openLog(RECORDS, 0, 0);
        _open(ACCESS, 0, 0);
    }

    function test_logKeepsItsKeys() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        IMemberRegistry.KeyInput[] memory inputs = new IMemberRegistry.KeyInput[](1);
        inputs[0] = IMemberRegistry.KeyInput(3, sha256("next"), 0, "");
        _pass(1);
        VM.prank(_operator(1));
        registry.registerKeys(inputs);
        VM.assertEq(log.logInfo(logId).ed25519, _logKey(1, 3));
        _closeByVote(logId, 0);
        VM.assertEq(log.logInfo(_open(RECORDS, 1, logId)).ed25519, sha256("next"));
    }

    // ------------------------------------------------------------------------------------------ closing by the member

    function test_memberClosesAfterADay() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        VM.expectEmit();
        emit IAnchorLog.LogClosing(logId, START_TIME + 24 hours, false, 0);
        _close(logId);
        _pass(24 hours - 1);
        VM.assertFalse(log.logInfo(logId).closed);
        VM.prank(_operator(1));
        log.anchor(logId, 1, ROOT, new bytes32[](0));
        _pass(1);
        VM.assertTrue(log.logInfo(logId).closed);
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.LogIsClosed.selector, logId));
        log.anchor(logId, 2, ROOT, new bytes32[](0));

        bytes32 successor = _open(RECORDS, 1, logId);
        VM.assertEq(log.logInfo(logId).successor, successor);
        VM.assertEq(log.logInfo(successor).predecessor, logId);
        VM.assertEq(log.logInfo(successor).n, 1);
        VM.assertEq(log.lastLog(_code(1), RECORDS), successor);
    }

    function test_operatorOrRecoveryKeyCancels() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        address[2] memory callers = [_operator(1), _recovery(1)];
        for (uint256 k = 0; k < callers.length; k++) {
            _close(logId);
            VM.expectEmit();
            emit IAnchorLog.CloseCancelled(logId);
            VM.prank(callers[k]);
            log.cancelClose(logId);
        }
        _pass(48 hours);
        VM.assertFalse(log.logInfo(logId).closed);
    }

    function test_nobodyElseClosesOrCancels() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        address[3] memory closers = [_operator(2), _recovery(1), address(this)];
        for (uint256 k = 0; k < closers.length; k++) {
            VM.prank(closers[k]);
            VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, closers[k]));
            log.closeLog(logId);
        }
        _close(logId);
        address[3] memory cancellers = [_operator(2), _recovery(2), address(this)];
        for (uint256 k = 0; k < cancellers.length; k++) {
            VM.prank(cancellers[k]);
            VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, cancellers[k]));
            log.cancelClose(logId);
        }
    }

    function test_closingIsAnnouncedOnceAndFinalAtItsTime() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotClosing.selector, logId));
        log.cancelClose(logId);
        _close(logId);
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.AlreadyClosing.selector, logId));
        log.closeLog(logId);
        _pass(24 hours);
        VM.prank(_recovery(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.LogIsClosed.selector, logId));
        log.cancelClose(logId);
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.LogIsClosed.selector, logId));
        log.closeLog(logId);
    }

    // ------------------------------------------------------------------------------------------ closing by vote

    function test_voteClosesAtOnceAndNamesTheLastGoodAnchor() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        VM.prank(_operator(1));
        log.anchor(logId, 1, ROOT, new bytes32[](0));
        _closeByVote(logId, 1);
        IAnchorLog.LogInfo memory info = log.logInfo(logId);
        VM.assertTrue(info.closed);
        VM.assertEq(info.lastGood, 1);
        VM.assertEq(info.closesAt, block.timestamp);
        _open(RECORDS, 1, logId);
    }

    function test_voteNamesTheLastGoodAnchorOfAClosedLog() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        VM.prank(_operator(1));
        log.anchor(logId, 1, ROOT, new bytes32[](0));
        _close(logId);
        _pass(24 hours);
        _closeByVote(logId, 1);
        VM.assertEq(log.logInfo(logId).lastGood, 1);
        VM.assertEq(log.logInfo(logId).closesAt, START_TIME + 24 hours);
        bytes memory reason = abi.encodeWithSelector(IAnchorLog.LogIsClosed.selector, logId);
        _decideRefused(IMemberRegistry.Action.Resolve, _closing(1, logId, 0), reason);
    }

    function test_voteCancelsAClosure() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        _close(logId);
        _decide(IMemberRegistry.Action.Resolve, _closing(2, logId, 0));
        VM.assertEq(log.logInfo(logId).closesAt, 0);
    }

    function test_voteForWhatIsNotThereFails() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        bytes memory reason = abi.encodeWithSelector(IAnchorLog.UnknownAnchor.selector, logId, 1);
        _decideRefused(IMemberRegistry.Action.Resolve, _closing(1, logId, 1), reason);
        reason = abi.encodeWithSelector(IAnchorLog.UnknownOperation.selector, 3);
        _decideRefused(IMemberRegistry.Action.Resolve, _closing(3, logId, 0), reason);
        reason = abi.encodeWithSelector(IAnchorLog.NotClosing.selector, logId);
        _decideRefused(IMemberRegistry.Action.Resolve, _closing(2, logId, 0), reason);
        reason = abi.encodeWithSelector(IAnchorLog.UnknownLog.selector, ROOT);
        _decideRefused(IMemberRegistry.Action.Resolve, _closing(1, ROOT, 0), reason);
    }

    function test_onlyTheRegistryCarriesOutVotes() public {
        bytes32 logId = _open(RECORDS, 0, 0);
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IAnchorLog.NotAuthorised.selector, _operator(1)));
        log.onVote(1, abi.encode(uint8(1), logId, uint64(0)));
    }
}
