// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMemberRegistry} from "./interfaces/IMemberRegistry.sol";

/// @title MemberKeys
/// @notice The part of MemberRegistry that dates the members' keys.
abstract contract MemberKeys is IMemberRegistry {
    uint8 private constant EXCHANGE_KEY = 7;
    uint8 private constant CERTIFICATE_KEY = 8;
    uint8 private constant OPERATOR_KEY = 9;
    uint256 private constant EXCHANGE_KEY_BYTES = 1184 + 32;
    uint256 private constant CERTIFICATE_KEY_BYTES = 48 + 96;
    uint64 private constant NO_END = type(uint64).max;

    /// @dev By `fromBlock`, ascending. A key ends where the next begins, or earlier at its own `toBlock`.
    mapping(uint32 number => mapping(uint8 kind => KeyPeriod[])) private _keys;
    mapping(bytes32 key => uint256 use) private _useOf;
    mapping(uint256 use => mapping(bytes32 key => uint64 fromBlock)) private _compromisedFrom;

    /// @inheritdoc IMemberRegistry
    function registerKeys(KeyInput[] calldata inputs) external {
        (uint32 number, bytes18 code) = _requireActive();
        for (uint256 k = 0; k < inputs.length; k++) {
            _registerKey(number, code, inputs[k]);
        }
    }

    /// @inheritdoc IMemberRegistry
    function endKey(uint8 kind) external {
        (uint32 number, bytes18 code) = _requireActive();
        bool withdrawn = _withdrawFutureKey(number, code, kind);
        KeyPeriod[] storage periods = _keys[number][kind];
        uint64 toBlock = uint64(block.number) + 1;
        if (periods.length == 0 || periods[periods.length - 1].toBlock <= toBlock) {
            if (!withdrawn) revert UnknownKey();
            return;
        }
        KeyPeriod storage last = periods[periods.length - 1];
        last.toBlock = toBlock;
        emit KeyEnded(code, kind, last.key, toBlock);
    }

    /// @inheritdoc IMemberRegistry
    function keyAt(bytes18 code, uint8 kind, uint64 blockNumber) external view returns (bytes32 key) {
        KeyPeriod[] storage periods = _keys[_requireNumber(code)][kind];
        for (uint256 k = periods.length; k > 0; k--) {
            KeyPeriod storage p = periods[k - 1];
            if (p.fromBlock <= blockNumber) return blockNumber < p.toBlock ? p.key : bytes32(0);
        }
    }

    /// @inheritdoc IMemberRegistry
    function keys(bytes18 code, uint8 kind) external view returns (KeyPeriod[] memory periods) {
        periods = _keys[_requireNumber(code)][kind];
        for (uint256 k = 1; k < periods.length; k++) {
            if (periods[k].fromBlock < periods[k - 1].toBlock) periods[k - 1].toBlock = periods[k].fromBlock;
        }
    }

    /// @inheritdoc IMemberRegistry
    function compromisedFrom(bytes18 code, uint8 kind, bytes32 key) external view returns (uint64 fromBlock) {
        return _compromisedFrom[_use(_requireNumber(code), kind)][key];
    }

    /// @inheritdoc IMemberRegistry
    function memberOf(address operator) public view virtual returns (uint32 number, bytes18 code);

    // ------------------------------------------------------------------------------------------------- inside

    function _registerKey(uint32 number, bytes18 code, KeyInput calldata input) private {
        uint8 kind = input.kind;
        bytes32 key = input.key;
        _requireWellFormed(kind, key, input.data);
        uint64 fromBlock = input.fromBlock == 0 ? uint64(block.number) : input.fromBlock;
        if (fromBlock < block.number) revert WrongBlock(fromBlock);

        _withdrawFutureKey(number, code, kind);
        KeyPeriod[] storage periods = _keys[number][kind];
        if (periods.length != 0 && fromBlock <= periods[periods.length - 1].fromBlock) revert WrongBlock(fromBlock);
        if (_useOf[key] != 0) revert KeyInUse(key);
        _useOf[key] = _use(number, kind);
        periods.push(KeyPeriod(key, fromBlock, NO_END));
        emit KeyRegistered(code, kind, key, fromBlock, input.data);
    }

    function _withdrawFutureKey(uint32 number, bytes18 code, uint8 kind) private returns (bool withdrawn) {
        KeyPeriod[] storage periods = _keys[number][kind];
        if (periods.length == 0) return false;
        KeyPeriod memory last = periods[periods.length - 1];
        if (last.fromBlock <= block.number) return false;
        periods.pop();
        delete _useOf[last.key];
        emit KeyEnded(code, kind, last.key, last.fromBlock);
        return true;
    }

    function _requireWellFormed(uint8 kind, bytes32 key, bytes calldata data) private pure {
        if (kind == 0 || kind > CERTIFICATE_KEY) revert UnknownKeyKind(kind);
        uint256 length = 0;
        if (kind == EXCHANGE_KEY) length = EXCHANGE_KEY_BYTES;
        if (kind == CERTIFICATE_KEY) length = CERTIFICATE_KEY_BYTES;
        if (key == 0 || data.length != length) revert MalformedKey(kind);
        if (length != 0 && sha256(data) != key) revert MalformedKey(kind);
    }

    function _declareCompromised(uint32 number, bytes18 code, uint8 kind, bytes32 key, uint64 fromBlock) internal {
        bool known = kind == OPERATOR_KEY
            ? uint256(key) >> 160 == 0 && _wasOperator(address(uint160(uint256(key))), number)
            : _useOf[key] == _use(number, kind);
        if (!known) revert UnknownKey();
        if (fromBlock == 0 || fromBlock > block.number) revert WrongBlock(fromBlock);
        _compromisedFrom[_use(number, kind)][key] = fromBlock;
        emit KeyCompromised(code, kind, key, fromBlock);
    }

    function _use(uint32 number, uint8 kind) private pure returns (uint256) {
        return (uint256(number) << 8) | kind;
    }

    /// @dev The caller, when it is the operator key of an active member.
    function _requireActive() internal view returns (uint32 number, bytes18 code) {
        (number, code) = memberOf(msg.sender);
        if (number == 0) revert NotAuthorised(msg.sender);
    }

    /// @dev Number of the member with this code; reverts with UnknownMember.
    function _requireNumber(bytes18 code) internal view virtual returns (uint32 number);

    /// @dev Whether the address is, was or was announced to be the member's operator key.
    function _wasOperator(address account, uint32 number) internal view virtual returns (bool);
}
