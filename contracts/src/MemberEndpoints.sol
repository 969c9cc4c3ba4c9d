// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMemberRegistry} from "./interfaces/IMemberRegistry.sol";
import {MemberKeys} from "./MemberKeys.sol";

/// @title MemberEndpoints
/// @notice The part of MemberRegistry that says where the members' nodes are reached.
abstract contract MemberEndpoints is MemberKeys {
    uint256 private constant MAX_URL_BYTES = 255;
    /// @dev Bit c is set when the ASCII character c may stand in `host[:port]`: hyphen, dot, 0–9, colon, a–z, brackets.
    uint256 private constant HOST_CHARACTERS =
        (1 << 45) | (1 << 46) | (0x3ff << 48) | (1 << 58) | (1 << 91) | (1 << 93) | (((1 << 26) - 1) << 97);

    mapping(uint32 number => Endpoint) private _endpoints;

    /// @inheritdoc IMemberRegistry
    function setEndpoint(string calldata url, bytes32 tlsKey) external {
        (uint32 number, bytes18 code) = _requireActive();
        bool cleared = bytes(url).length == 0 && tlsKey == 0;
        if (!cleared && !_isEndpoint(bytes(url), tlsKey)) revert MalformedEndpoint();
        _endpoints[number] = Endpoint(url, tlsKey, cleared ? 0 : uint64(block.number));
        emit EndpointSet(code, url, tlsKey);
    }

    /// @inheritdoc IMemberRegistry
    function endpointOf(bytes18 code) external view returns (Endpoint memory) {
        return _endpoints[_requireNumber(code)];
    }

    /// @dev Plain HTTP names loopback and a port, so that nothing but digits can follow and no other host is meant.
    function _isEndpoint(bytes calldata url, bytes32 tlsKey) private pure returns (bool) {
        if (url.length > MAX_URL_BYTES) return false;
        if (tlsKey != 0) return _startsWith(url, "https://") && _isMadeOf(url[8:], HOST_CHARACTERS);
        uint256 length = 0;
        if (_startsWith(url, "http://127.0.0.1:")) length = 17;
        else if (_startsWith(url, "http://[::1]:")) length = 13;
        else if (_startsWith(url, "http://localhost:")) length = 17;
        return length != 0 && _isMadeOf(url[length:], 0x3ff << 48);
    }

    function _startsWith(bytes calldata text, bytes memory start) private pure returns (bool) {
        return text.length >= start.length && keccak256(text[:start.length]) == keccak256(start);
    }

    /// @dev Whether there is a character, and none but those.
    function _isMadeOf(bytes calldata text, uint256 characters) private pure returns (bool) {
        for (uint256 k = 0; k < text.length; k++) {
            if ((characters >> uint8(text[k])) & 1 == 0) return false;
        }
        return text.length != 0;
    }
}
