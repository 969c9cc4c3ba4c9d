// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Network} from "./support/Network.sol";

contract EndpointsTest is Network {
    bytes32 internal constant KEY = keccak256("key");

    function setUp() public {
        _deploy(4);
    }

    function _set(string memory url, bytes32 tlsKey) private {
        VM.prank(_operator(1));
        registry.setEndpoint(url, tlsKey);
    }

    function _refused(string memory url, bytes32 tlsKey) private {
        VM.prank(_operator(1));
        VM.expectRevert(IMemberRegistry.MalformedEndpoint.selector);
        registry.setEndpoint(url, tlsKey);
    }

    function test_nothingIsSaidAtFirst() public {
        IMemberRegistry.Endpoint memory e = registry.endpointOf(_code(1));
        VM.assertEq(e.url, "");
        VM.assertEq(e.tlsKey, 0);
        VM.assertEq(e.sinceBlock, 0);
        VM.expectRevert(IMemberRegistry.UnknownMember.selector);
        registry.endpointOf(_code(9));
    }

    function test_aMemberSaysWhereItIsReached() public {
        _pass(5);
        VM.expectEmit();
        emit IMemberRegistry.EndpointSet(_code(1), "https://node.court.example:8620", KEY);
        _set("https://node.court.example:8620", KEY);
        IMemberRegistry.Endpoint memory e = registry.endpointOf(_code(1));
        VM.assertEq(e.url, "https://node.court.example:8620");
        VM.assertEq(e.tlsKey, KEY);
        VM.assertEq(e.sinceBlock, START_BLOCK + 5);
        VM.assertEq(registry.endpointOf(_code(2)).url, "");
    }

    function test_theLastWordCounts() public {
        _set("https://a.example", KEY);
        _set("http://127.0.0.1:8620", 0);
        VM.assertEq(registry.endpointOf(_code(1)).url, "http://127.0.0.1:8620");
        VM.assertEq(registry.endpointOf(_code(1)).tlsKey, 0);
        VM.expectEmit();
        emit IMemberRegistry.EndpointSet(_code(1), "", 0);
        _set("", 0);
        VM.assertEq(registry.endpointOf(_code(1)).url, "");
        VM.assertEq(registry.endpointOf(_code(1)).sinceBlock, 0);
    }

    function test_onlyTheOperatorOfAnActiveMemberSays() public {
        address[2] memory others = [_recovery(1), address(this)];
        for (uint256 k = 0; k < others.length; k++) {
            VM.prank(others[k]);
            VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, others[k]));
            registry.setEndpoint("https://a.example", KEY);
        }
        _set("https://a.example", KEY);
        _decide(IMemberRegistry.Action.Suspend, abi.encode(_code(1)));
        VM.prank(_operator(1));
        VM.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotAuthorised.selector, _operator(1)));
        registry.setEndpoint("https://b.example", KEY);
        VM.assertEq(registry.endpointOf(_code(1)).url, "https://a.example");
    }

    function test_plainHttpStaysOnTheMachine() public {
        _set("http://127.0.0.1:8620", 0);
        _set("http://[::1]:8620", 0);
        _set("http://localhost:8620", 0);
        string[10] memory urls = [
            "http://127.0.0.1",
            "http://127.0.0.1:",
            "http://127.0.0.2:80",
            "http://127.0.0.1:80.evil.example",
            "http://127.0.0.1.evil.example:80",
            "http://localhost:a@evil.example",
            "http://localhost.evil.example:80",
            "http://node.court.example:80",
            "http://[::1]:80/",
            "http://"
        ];
        for (uint256 k = 0; k < urls.length; k++) {
            _refused(urls[k], 0);
            _refused(urls[k], KEY);
        }
        _refused("http://127.0.0.1:8620", KEY);
    }

    function test_httpsNeedsAKeyAndNoMoreThanAHost() public {
        _set("https://[2001:db8::1]:8620", KEY);
        _set("https://10.0.0.7", KEY);
        _refused("https://a.example", 0);
        string[9] memory urls = [
            "https://",
            "https://a.example/",
            "https://a.example/path",
            "https://a.example?q",
            "https://user@a.example",
            "https://A.example",
            "https:// a.example",
            "HTTPS://a.example",
            "a.example"
        ];
        for (uint256 k = 0; k < urls.length; k++) {
            _refused(urls[k], KEY);
        }
        _refused("", KEY);
    }

    function test_urlsHaveAnEnd() public {
        bytes memory url = "https://";
        while (url.length < 255) url = bytes.concat(url, "a");
        _set(string(url), KEY);
        _refused(string(bytes.concat(url, "a")), KEY);
    }

    function testFuzz_everyCharacterOfAHostIsJudged(uint8 character) public {
        bytes1 c = bytes1(uint8(_bound(character, 0, 127)));
        string memory url = string(abi.encodePacked("https://a", c));
        bool known = (c >= "a" && c <= "z") || (c >= "0" && c <= ":") || c == "-" || c == "." || c == "[" || c == "]";
        if (known) _set(url, KEY);
        else _refused(url, KEY);
    }
}
