// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DocumentRegistry} from "../src/DocumentRegistry.sol";
import {IDocumentRegistry} from "../src/interfaces/IDocumentRegistry.sol";
import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Network} from "./support/Network.sol";

contract DocumentsTest is Network {
    bytes32 internal constant FIRST = keccak256("first");
    bytes32 internal constant SECOND = keccak256("second");

    DocumentRegistry internal documents;

    function setUp() public {
        _deploy(1);
        documents = new DocumentRegistry(registry);
    }

    function _data(string memory kind, string memory name, uint32 version, bytes32 digest, uint64 fromBlock)
        private
        pure
        returns (bytes memory)
    {
        return abi.encode(kind, name, version, digest, fromBlock);
    }

    function _put(uint32 version, bytes32 digest, uint64 fromBlock) private returns (uint64) {
        return _resolve(_data("purposes", "exchange", version, digest, fromBlock));
    }

    function _resolve(bytes memory data) private returns (uint64) {
        return _propose(1, IMemberRegistry.Action.Resolve, abi.encode(address(documents), data));
    }

    function _refused(bytes memory data, bytes memory reason) private {
        VM.prank(_operator(1));
        VM.expectRevert(reason);
        registry.propose(IMemberRegistry.Action.Resolve, abi.encode(address(documents), data));
    }

    function _assertAt(uint64 blockNumber, uint32 version, bytes32 digest) private view {
        (uint32 found, bytes32 hash) = documents.documentAt("purposes", "exchange", blockNumber);
        VM.assertEq(found, version, "version");
        VM.assertEq(hash, digest, "digest");
    }

    // ------------------------------------------------------------------------------------------ putting

    function test_aVotePutsTheFirstVersion() public {
        VM.expectEmit();
        emit IDocumentRegistry.DocumentPut(
            keccak256(abi.encode("purposes", "exchange")), FIRST, 1, "purposes", "exchange", 1, START_BLOCK
        );
        uint64 id = _put(1, FIRST, 0);
        IDocumentRegistry.Version[] memory all = documents.versions("purposes", "exchange");
        VM.assertEq(all.length, 1);
        VM.assertEq(all[0].digest, FIRST);
        VM.assertEq(all[0].sinceBlock, START_BLOCK);
        VM.assertEq(all[0].decidedBlock, START_BLOCK);
        VM.assertEq(all[0].proposalId, id);
        VM.assertEq(documents.registry(), address(registry));
    }

    function test_historyIsKept() public {
        _assertAt(START_BLOCK, 0, 0);
        _put(1, FIRST, 0);
        _pass(10);
        _put(2, SECOND, START_BLOCK + 100);
        _pass(200);
        _put(3, 0, 0);
        _assertAt(START_BLOCK - 1, 0, 0);
        _assertAt(START_BLOCK, 1, FIRST);
        _assertAt(START_BLOCK + 99, 1, FIRST);
        _assertAt(START_BLOCK + 100, 2, SECOND);
        _assertAt(START_BLOCK + 209, 2, SECOND);
        _assertAt(START_BLOCK + 210, 3, 0);
        _put(4, FIRST, 0);
        _assertAt(START_BLOCK + 209, 2, SECOND);
        _assertAt(START_BLOCK + 210, 4, FIRST);
        VM.assertEq(documents.versions("purposes", "exchange").length, 4);
    }

    function test_aVoteThatTookLongerStillPasses() public {
        _deploy(4);
        documents = new DocumentRegistry(registry);
        bytes memory data = _data("purposes", "exchange", 1, FIRST, START_BLOCK + 10);
        uint64 id = _gather(IMemberRegistry.Action.Resolve, abi.encode(address(documents), data));
        VM.assertEq(documents.documentCount(), 0);
        _pass(100);
        _vote(4, id);
        _assertAt(START_BLOCK + 99, 0, 0);
        _assertAt(START_BLOCK + 100, 1, FIRST);
    }

    function test_aLaterVersionNeverBeginsBeforeAnEarlierOne() public {
        _put(1, FIRST, START_BLOCK + 50);
        _put(2, SECOND, 0);
        _assertAt(START_BLOCK + 49, 0, 0);
        _assertAt(START_BLOCK + 50, 2, SECOND);
    }

    function testFuzz_versionsBeginInTheirOrder(uint64[8] calldata fromBlocks, uint32[8] calldata pauses) public {
        for (uint32 k = 0; k < 8; k++) {
            _pass(_bound(pauses[k], 0, 1000));
            uint64 asked = uint64(_bound(fromBlocks[k], 0, START_BLOCK + 10_000));
            _put(k + 1, keccak256(abi.encode(k)), asked);
        }
        IDocumentRegistry.Version[] memory all = documents.versions("purposes", "exchange");
        for (uint256 k = 0; k < 8; k++) {
            VM.assertTrue(all[k].sinceBlock >= all[k].decidedBlock, "not before its decision");
            VM.assertTrue(all[k].sinceBlock >= fromBlocks[k] % (START_BLOCK + 10_001), "not before what was asked");
            if (k == 0) continue;
            VM.assertTrue(all[k].sinceBlock >= all[k - 1].sinceBlock, "in order");
            if (all[k].sinceBlock == all[k - 1].sinceBlock) continue;
            (uint32 version,) = documents.documentAt("purposes", "exchange", all[k].sinceBlock - 1);
            VM.assertEq(version, k);
        }
    }

    function test_documentsAreListedOnce() public {
        _resolve(_data("item", "penalty:2018", 1, FIRST, 0));
        _resolve(_data("purposes", "exchange", 1, FIRST, 0));
        _resolve(_data("item", "penalty:2018", 2, SECOND, 0));
        _resolve(_data("calendar", "penalty:2018", 1, SECOND, 0));
        VM.assertEq(documents.documentCount(), 3);
        IDocumentRegistry.Document[] memory all = documents.documents(0, 10);
        VM.assertEq(all.length, 3);
        VM.assertEq(all[0].kind, "item");
        VM.assertEq(all[0].name, "penalty:2018");
        VM.assertEq(all[0].versions, 2);
        VM.assertEq(all[2].kind, "calendar");
        VM.assertEq(all[2].versions, 1);
        all = documents.documents(1, 1);
        VM.assertEq(all.length, 1);
        VM.assertEq(all[0].kind, "purposes");
        VM.assertEq(documents.documents(3, 1).length, 0);
        VM.assertEq(documents.documents(type(uint256).max, type(uint256).max).length, 0);
        VM.assertEq(documents.versions("item", "permit:2018").length, 0);
    }

    // ------------------------------------------------------------------------------------------ refusing

    function test_onlyAVotePuts() public {
        address[3] memory others = [_operator(1), _recovery(1), address(this)];
        for (uint256 k = 0; k < others.length; k++) {
            VM.prank(others[k]);
            VM.expectRevert(abi.encodeWithSelector(IDocumentRegistry.NotAuthorised.selector, others[k]));
            documents.onVote(1, _data("purposes", "exchange", 1, FIRST, 0));
        }
    }

    function test_twoVotesAboutOneVersionDoNotBothPass() public {
        _put(1, FIRST, 0);
        bytes memory reason = abi.encodeWithSelector(IDocumentRegistry.WrongVersion.selector, uint32(1), uint32(2));
        _refused(_data("purposes", "exchange", 1, SECOND, 0), reason);
        reason = abi.encodeWithSelector(IDocumentRegistry.WrongVersion.selector, uint32(3), uint32(2));
        _refused(_data("purposes", "exchange", 3, SECOND, 0), reason);
        reason = abi.encodeWithSelector(IDocumentRegistry.WrongVersion.selector, uint32(0), uint32(1));
        _refused(_data("purposes", "other", 0, SECOND, 0), reason);
    }

    function test_whatIsNotThereIsNotWithdrawn() public {
        bytes memory reason = _onlySelector(IDocumentRegistry.NothingToWithdraw.selector);
        _refused(_data("purposes", "exchange", 1, 0, 0), reason);
        _put(1, FIRST, 0);
        _put(2, 0, 0);
        _refused(_data("purposes", "exchange", 3, 0, 0), reason);
    }

    function test_kindsAndNamesAreShortAndPlain() public {
        string memory longest = "0123456789abcdef0123456789abcdef";
        _resolve(_data(longest, string.concat(longest, longest), 1, FIRST, 0));
        _resolve(_data("a-z", "a.z:0-9", 1, FIRST, 0));
        string[7] memory texts = ["", "A", "a b", "a/b", "a_b", unicode"项", "a\n"];
        for (uint256 k = 0; k < texts.length; k++) {
            _refused(_data(texts[k], "name", 1, FIRST, 0), _onlySelector(IDocumentRegistry.MalformedKind.selector));
            _refused(_data("kind", texts[k], 1, FIRST, 0), _onlySelector(IDocumentRegistry.MalformedName.selector));
        }
        bytes memory kind = _onlySelector(IDocumentRegistry.MalformedKind.selector);
        _refused(_data(string.concat(longest, "a"), "name", 1, FIRST, 0), kind);
        _refused(_data("a.b", "name", 1, FIRST, 0), kind);
        _refused(_data("a:b", "name", 1, FIRST, 0), kind);
        bytes memory name = _onlySelector(IDocumentRegistry.MalformedName.selector);
        _refused(_data("kind", string.concat(longest, longest, "a"), 1, FIRST, 0), name);
    }

    function testFuzz_everyCharacterIsJudged(uint8 character) public {
        bytes1 c = bytes1(uint8(_bound(character, 0, 127)));
        string memory text = string(abi.encodePacked("a", c));
        bool kind = (c >= "a" && c <= "z") || (c >= "0" && c <= "9") || c == "-";
        bool name = kind || c == "." || c == ":";
        if (kind) _resolve(_data(text, "name", 1, FIRST, 0));
        else _refused(_data(text, "name", 1, FIRST, 0), _onlySelector(IDocumentRegistry.MalformedKind.selector));
        if (name) _resolve(_data("kind", text, 1, FIRST, 0));
        else _refused(_data("kind", text, 1, FIRST, 0), _onlySelector(IDocumentRegistry.MalformedName.selector));
    }

    function test_otherDataIsRefused() public {
        VM.prank(_operator(1));
        VM.expectRevert();
        registry.propose(IMemberRegistry.Action.Resolve, abi.encode(address(documents), bytes("short")));
        VM.assertEq(documents.documentCount(), 0);
    }
}
