// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AnchorLog} from "../../src/AnchorLog.sol";
import {MemberRegistry} from "../../src/MemberRegistry.sol";
import {IMemberRegistry} from "../../src/interfaces/IMemberRegistry.sol";
import {Base} from "./Base.sol";

/// @title A consortium to test on: founders 1, 2, 3 … that all issue, consume and govern, with log keys registered
abstract contract Network is Base {
    uint8 internal constant RECORDS = 1;
    uint8 internal constant ACCESS = 2;
    uint64 internal constant START_TIME = 1_790_000_000;
    uint64 internal constant START_BLOCK = 1_000;

    MemberRegistry internal registry;
    AnchorLog internal log;

    function _deploy(uint256 founderCount) internal {
        VM.warp(START_TIME);
        VM.roll(START_BLOCK);
        IMemberRegistry.Founder[] memory founders = new IMemberRegistry.Founder[](founderCount);
        for (uint256 k = 0; k < founderCount; k++) {
            founders[k] = _founder(k + 1);
        }
        registry = new MemberRegistry(founders);
        log = new AnchorLog(registry, "demo.example");
        for (uint256 k = 1; k <= founderCount; k++) {
            _registerLogKeys(k);
        }
    }

    function _founder(uint256 number) internal pure returns (IMemberRegistry.Founder memory) {
        return IMemberRegistry.Founder(_code(number), _operator(number), _recovery(number), 3, true);
    }

    /// @dev 18 characters of the USCC's alphabet; the check digits are the clients' business.
    function _code(uint256 number) internal pure returns (bytes18) {
        bytes memory text = "9132020000000000XA";
        text[12] = bytes1(uint8(48 + (number / 100) % 10));
        text[13] = bytes1(uint8(48 + (number / 10) % 10));
        text[14] = bytes1(uint8(48 + number % 10));
        return bytes18(bytes32(text));
    }

    function _operator(uint256 number) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("operator", number)))));
    }

    function _recovery(uint256 number) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("recovery", number)))));
    }

    function _logKey(uint256 number, uint8 kind) internal pure returns (bytes32) {
        return keccak256(abi.encode("key", number, kind));
    }

    function _registerLogKeys(uint256 number) internal {
        IMemberRegistry.KeyInput[] memory inputs = new IMemberRegistry.KeyInput[](4);
        for (uint8 kind = 3; kind <= 6; kind++) {
            inputs[kind - 3] = IMemberRegistry.KeyInput(kind, _logKey(number, kind), 0, "");
        }
        VM.prank(_operator(number));
        registry.registerKeys(inputs);
    }

    function _openFirst(uint256 number, uint8 kind) internal returns (bytes32 logId) {
        VM.prank(_operator(number));
        return log.openLog(kind, 0, 0);
    }

    /// @dev Let chain time pass, with a block a second.
    function _pass(uint256 time) internal {
        VM.warp(block.timestamp + time);
        VM.roll(block.number + time);
    }

    function _propose(uint256 number, IMemberRegistry.Action action, bytes memory payload) internal returns (uint64) {
        VM.prank(_operator(number));
        return registry.propose(action, payload);
    }

    function _vote(uint256 number, uint64 id) internal {
        VM.prank(_operator(number));
        registry.vote(id);
    }

    /// @dev In a network of four, members 2, 3 and, where it is needed, 4 vote for it.
    function _decide(IMemberRegistry.Action action, bytes memory payload) internal {
        uint64 id = _gather(action, payload);
        if (!registry.proposal(id).executed) _vote(4, id);
        VM.assertTrue(registry.proposal(id).executed, "executed");
    }

    /// @dev As _decide, but the deciding vote is refused.
    function _decideRefused(IMemberRegistry.Action action, bytes memory payload, bytes memory reason) internal {
        uint64 id = _gather(action, payload);
        VM.prank(_operator(4));
        VM.expectRevert(reason);
        registry.vote(id);
    }

    /// @dev Of four members, two vote; a third decides.
    function _gather(IMemberRegistry.Action action, bytes memory payload) internal returns (uint64 id) {
        id = _propose(2, action, payload);
        _vote(3, id);
    }

    function _onlySelector(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodePacked(selector);
    }
}
