// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Network} from "./support/Network.sol";

contract KeysTest is Network {
    uint8 internal constant RECORD = 1;
    uint8 internal constant EXCHANGE = 7;
    uint8 internal constant CERTIFICATE = 8;
    uint8 internal constant OPERATOR = 9;
    uint64 internal constant NO_END = type(uint64).max;

    function setUp() public {
        _deploy(4);
    }

    function _input(uint8 kind, bytes32 key, uint64 fromBlock, bytes memory data)
        private
        pure
        returns (IMemberRegistry.KeyInput[] memory inputs)
    {
        inputs = new IMemberRegistry.KeyInput[](1);
        inputs[0] = IMemberRegistry.KeyInput(kind, key, fromBlock, data);
    }

    function _register(uint8 kind, bytes32 key, uint64 fromBlock) private {
        VM.prank(_operator(1));
        registry.registerKeys(_input(kind, key, fromBlock, ""));
    }

    function _refuse(bytes memory reason, uint8 kind, bytes32 key, uint64 fromBlock, bytes memory data) private {
        VM.prank(_operator(1));
        VM.expectRevert(reason);
        registry.registerKeys(_input(kind, key, fromBlock, data));
    }

    function _assertKeyAt(uint64 blockNumber, bytes32 key) private view {
        VM.assertEq(registry.keyAt(_code(1), RECORD, blockNumber), key);
    }

    // ------------------------------------------------------------------------------------------ registering

    function test_keyIsValidFromItsBlockUntilTheNextBegins() public {
        VM.expectEmit();
        emit IMemberRegistry.KeyRegistered(_code(1), RECORD, "a", START_BLOCK, "");
        _register(RECORD, "a", 0);
        _assertKeyAt(START_BLOCK - 1, 0);
        _assertKeyAt(START_BLOCK, "a");
        _register(RECORD, "b", START_BLOCK + 10);
        _assertKeyAt(START_BLOCK + 9, "a");
        _assertKeyAt(START_BLOCK + 10, "b");
        _assertKeyAt(NO_END - 1, "b");
        IMemberRegistry.KeyPeriod[] memory periods = registry.keys(_code(1), RECORD);
        VM.assertEq(periods.length, 2);
        VM.assertEq(periods[0].toBlock, START_BLOCK + 10);
        VM.assertEq(periods[1].fromBlock, START_BLOCK + 10);
        VM.assertEq(periods[1].toBlock, NO_END);
        VM.assertEq(registry.keyAt(_code(2), RECORD, START_BLOCK), 0);
    }

    function testFuzz_keysOfAnyRotationsFollowEachOther(uint8[6] memory gaps) public {
        uint64 from = START_BLOCK;
        for (uint256 k = 0; k < gaps.length; k++) {
            _register(RECORD, bytes32(k + 1), from);
            VM.roll(from);
            from += 1 + uint64(gaps[k]);
        }
        from = START_BLOCK;
        for (uint256 k = 0; k < gaps.length; k++) {
            _assertKeyAt(from, bytes32(k + 1));
            from += 1 + uint64(gaps[k]);
            _assertKeyAt(from - 1, bytes32(k + 1));
        }
    }

    function test_severalKeysInOneTransaction() public {
        IMemberRegistry.KeyInput[] memory inputs = new IMemberRegistry.KeyInput[](2);
        inputs[0] = IMemberRegistry.KeyInput(RECORD, "a", 0, "");
        inputs[1] = IMemberRegistry.KeyInput(2, "b", 0, "");
        VM.prank(_operator(1));
        registry.registerKeys(inputs);
        VM.assertEq(registry.keyAt(_code(1), 1, START_BLOCK), "a");
        VM.assertEq(registry.keyAt(_code(1), 2, START_BLOCK), "b");
    }

    function test_longKeysAreRegisteredByDigest() public {
        uint256[2] memory lengths = [uint256(1216), 144];
        for (uint8 kind = EXCHANGE; kind <= CERTIFICATE; kind++) {
            bytes memory data = new bytes(lengths[kind - EXCHANGE]);
            data[0] = 0x42;
            bytes32 digest = sha256(data);
            VM.expectEmit();
            emit IMemberRegistry.KeyRegistered(_code(1), kind, digest, START_BLOCK, data);
            VM.prank(_operator(1));
            registry.registerKeys(_input(kind, digest, 0, data));
            VM.assertEq(registry.keyAt(_code(1), kind, START_BLOCK), digest);
            bytes memory reason = abi.encodeWithSelector(IMemberRegistry.MalformedKey.selector, kind);
            _refuse(reason, kind, "not the digest", 0, data);
            _refuse(reason, kind, sha256(""), 0, "");
        }
    }

    function test_malformedKeysAreRefused() public {
        _refuse(abi.encodeWithSelector(IMemberRegistry.UnknownKeyKind.selector, 0), 0, "a", 0, "");
        _refuse(abi.encodeWithSelector(IMemberRegistry.UnknownKeyKind.selector, OPERATOR), OPERATOR, "a", 0, "");
        bytes memory reason = abi.encodeWithSelector(IMemberRegistry.MalformedKey.selector, RECORD);
        _refuse(reason, RECORD, 0, 0, "");
        _refuse(reason, RECORD, "a", 0, "data");
    }

    function test_oneKeyOnePurposeOneMember() public {
        _register(RECORD, "a", 0);
        _pass(1);
        bytes memory reason = abi.encodeWithSelector(IMemberRegistry.KeyInUse.selector, bytes32("a"));
        _refuse(reason, RECORD, "a", 0, "");
        _refuse(reason, 2, "a", 0, "");
        VM.prank(_operator(2));
        VM.expectRevert(reason);
        registry.registerKeys(_input(RECORD, "a", 0, ""));
    }

    function test_thePastCannotBeChanged() public {
        _register(RECORD, "a", 0);
        bytes memory reason = abi.encodeWithSelector(IMemberRegistry.WrongBlock.selector, START_BLOCK);
        _refuse(reason, RECORD, "b", START_BLOCK, "");
        _pass(1);
        _refuse(reason, RECORD, "b", START_BLOCK, "");
    }

    function test_keyThatIsNotYetValidIsReplaced() public {
        _register(RECORD, "a", 0);
        _register(RECORD, "b", START_BLOCK + 1_000_000);
        VM.expectEmit();
        emit IMemberRegistry.KeyEnded(_code(1), RECORD, "b", START_BLOCK + 1_000_000);
        _register(RECORD, "b", START_BLOCK + 5);
        VM.assertEq(registry.keys(_code(1), RECORD).length, 2);
        _assertKeyAt(START_BLOCK + 4, "a");
        _assertKeyAt(START_BLOCK + 5, "b");
    }

    function test_keyEndsWithTheNextBlock() public {
        _register(RECORD, "a", 0);
        _register(RECORD, "b", START_BLOCK + 50);
        VM.prank(_operator(1));
        registry.endKey(RECORD);
        _assertKeyAt(START_BLOCK, "a");
        _assertKeyAt(START_BLOCK + 1, 0);
        _assertKeyAt(START_BLOCK + 50, 0);
        VM.prank(_operator(1));
        VM.expectRevert(IMemberRegistry.UnknownKey.selector);
        registry.endKey(RECORD);
        _register(RECORD, "c", START_BLOCK + 5);
        _assertKeyAt(START_BLOCK + 4, 0);
        _assertKeyAt(START_BLOCK + 5, "c");
        VM.assertEq(registry.keys(_code(1), RECORD)[0].toBlock, START_BLOCK + 1);
    }

    function test_keyThatNeverBecameValidIsWithdrawn() public {
        VM.prank(_operator(1));
        VM.expectRevert(IMemberRegistry.UnknownKey.selector);
        registry.endKey(RECORD);
        _register(RECORD, "a", START_BLOCK + 5);
        VM.prank(_operator(1));
        registry.endKey(RECORD);
        VM.assertEq(registry.keys(_code(1), RECORD).length, 0);
    }

    function test_onlyTheMemberRegistersItsKeys() public {
        address[2] memory others = [_recovery(1), address(this)];
        for (uint256 k = 0; k < others.length; k++) {
            VM.prank(others[k]);
            VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, others[k]));
            registry.registerKeys(_input(RECORD, "a", 0, ""));
            VM.prank(others[k]);
            VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, others[k]));
            registry.endKey(RECORD);
        }
    }

    // ------------------------------------------------------------------------------------------ compromised keys

    function _declaring(uint8 kind, bytes32 key, uint64 fromBlock) private pure returns (bytes memory) {
        return abi.encode(_code(1), kind, key, fromBlock);
    }

    function test_othersDeclareAKeyCompromised() public {
        _register(RECORD, "a", 0);
        _pass(10);
        VM.assertEq(registry.compromisedFrom(_code(1), RECORD, "a"), 0);
        uint64 id = _gather(IMemberRegistry.Action.DeclareCompromised, _declaring(RECORD, "a", START_BLOCK + 3));
        VM.expectEmit();
        emit IMemberRegistry.KeyCompromised(_code(1), RECORD, "a", START_BLOCK + 3);
        _vote(4, id);
        VM.assertEq(registry.compromisedFrom(_code(1), RECORD, "a"), START_BLOCK + 3);
        _assertKeyAt(START_BLOCK + 10, "a");
        bytes32 operator = bytes32(uint256(uint160(_operator(1))));
        _decide(IMemberRegistry.Action.DeclareCompromised, _declaring(OPERATOR, operator, START_BLOCK));
        VM.assertEq(registry.compromisedFrom(_code(1), OPERATOR, operator), START_BLOCK);
    }

    function test_onlyOwnKeysOfThePastAreDeclared() public {
        _register(RECORD, "a", 0);
        IMemberRegistry.Action declare = IMemberRegistry.Action.DeclareCompromised;
        bytes memory unknown = abi.encodeWithSelector(IMemberRegistry.UnknownKey.selector);
        _decideRefused(declare, _declaring(RECORD, "b", 1), unknown);
        _decideRefused(declare, _declaring(2, "a", 1), unknown);
        _decideRefused(declare, _declaring(3, _logKey(2, 3), 1), unknown);
        _decideRefused(declare, _declaring(OPERATOR, bytes32(uint256(uint160(_operator(2)))), 1), unknown);
        _decideRefused(declare, _declaring(OPERATOR, bytes32(uint256(uint160(_operator(1))) | 1 << 160), 1), unknown);
        _decideRefused(
            declare, _declaring(RECORD, "a", 0), abi.encodeWithSelector(IMemberRegistry.WrongBlock.selector, 0)
        );
        _decideRefused(
            declare,
            _declaring(RECORD, "a", START_BLOCK + 1),
            abi.encodeWithSelector(IMemberRegistry.WrongBlock.selector, START_BLOCK + 1)
        );
    }
}
