// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDocumentRegistry} from "./interfaces/IDocumentRegistry.sol";
import {IMemberRegistry} from "./interfaces/IMemberRegistry.sol";

/// @title DocumentRegistry
/// @notice See IDocumentRegistry.
contract DocumentRegistry is IDocumentRegistry {
    uint256 private constant MAX_KIND_BYTES = 32;
    uint256 private constant MAX_NAME_BYTES = 64;
    /// @dev Bit c is set when the ASCII character c may stand in a kind: hyphen, 0–9, a–z.
    uint256 private constant KIND_CHARACTERS = (1 << 45) | (0x3ff << 48) | (((1 << 26) - 1) << 97);
    /// @dev The same for a name: dot and colon too.
    uint256 private constant NAME_CHARACTERS = KIND_CHARACTERS | (1 << 46) | (1 << 58);

    struct Names {
        string kind;
        string name;
    }

    IMemberRegistry private immutable _REGISTRY;
    Names[] private _documents;
    mapping(bytes32 id => Version[]) private _versions;

    /// @param registry_ The member registry, whose votes decide.
    constructor(IMemberRegistry registry_) {
        _REGISTRY = registry_;
    }

    /// @inheritdoc IDocumentRegistry
    function onVote(uint64 proposalId, bytes calldata data) external override {
        if (msg.sender != address(_REGISTRY)) revert NotAuthorised(msg.sender);
        (string memory kind, string memory name, uint32 version, bytes32 digest, uint64 fromBlock) =
            abi.decode(data, (string, string, uint32, bytes32, uint64));
        if (!_isText(bytes(kind), MAX_KIND_BYTES, KIND_CHARACTERS)) revert MalformedKind();
        if (!_isText(bytes(name), MAX_NAME_BYTES, NAME_CHARACTERS)) revert MalformedName();

        bytes32 id = _id(kind, name);
        Version[] storage put = _versions[id];
        uint256 last = put.length;
        if (version != last + 1) revert WrongVersion(version, uint32(last + 1));
        if (digest == 0 && (last == 0 || put[last - 1].digest == 0)) revert NothingToWithdraw();
        uint64 sinceBlock = fromBlock < block.number ? uint64(block.number) : fromBlock;
        if (last == 0) _documents.push(Names(kind, name));
        else if (sinceBlock < put[last - 1].sinceBlock) sinceBlock = put[last - 1].sinceBlock;
        _versions[id].push(Version(digest, sinceBlock, uint64(block.number), proposalId));
        emit DocumentPut(id, digest, proposalId, kind, name, version, sinceBlock);
    }

    /// @inheritdoc IDocumentRegistry
    function registry() external view returns (address) {
        return address(_REGISTRY);
    }

    /// @inheritdoc IDocumentRegistry
    function documentCount() external view returns (uint256) {
        return _documents.length;
    }

    /// @inheritdoc IDocumentRegistry
    function documents(uint256 from, uint256 count) external view returns (Document[] memory some) {
        uint256 rest = from < _documents.length ? _documents.length - from : 0;
        some = new Document[](count < rest ? count : rest);
        for (uint256 k = 0; k < some.length; k++) {
            Names memory names = _documents[from + k];
            some[k] = Document(names.kind, names.name, uint32(_versions[_id(names.kind, names.name)].length));
        }
    }

    /// @inheritdoc IDocumentRegistry
    function versions(string calldata kind, string calldata name) external view returns (Version[] memory) {
        return _versions[_id(kind, name)];
    }

    /// @inheritdoc IDocumentRegistry
    function documentAt(string calldata kind, string calldata name, uint64 blockNumber)
        external
        view
        returns (uint32 version, bytes32 digest)
    {
        Version[] storage put = _versions[_id(kind, name)];
        for (uint256 k = put.length; k > 0; k--) {
            if (put[k - 1].sinceBlock <= blockNumber) return (uint32(k), put[k - 1].digest);
        }
    }

    function _id(string memory kind, string memory name) private pure returns (bytes32) {
        return keccak256(abi.encode(kind, name));
    }

    function _isText(bytes memory text, uint256 maxBytes, uint256 characters) private pure returns (bool) {
        if (text.length == 0 || text.length > maxBytes) return false;
        for (uint256 k = 0; k < text.length; k++) {
            if ((characters >> uint8(text[k])) & 1 == 0) return false;
        }
        return true;
    }
}
