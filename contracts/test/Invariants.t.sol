// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AnchorLog} from "../src/AnchorLog.sol";
import {IAnchorLog} from "../src/interfaces/IAnchorLog.sol";
import {IMemberRegistry} from "../src/interfaces/IMemberRegistry.sol";
import {Base} from "./support/Base.sol";
import {Handler} from "./support/Handler.sol";

contract InvariantsTest is Base {
    Handler internal handler;
    AnchorLog internal log;

    function setUp() public {
        handler = new Handler();
        log = handler.anchorLog();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev Size only grows, each anchor is bound to the one before, and nothing that was anchored has changed since.
    function invariant_anchorsChain() public view {
        for (uint256 k = 0; k < handler.logCount(); k++) {
            bytes32 logId = handler.logIds(k);
            IAnchorLog.Anchor[] memory made = handler.anchors(logId);
            for (uint64 i = 1; i <= made.length; i++) {
                IAnchorLog.Anchor memory a = made[i - 1];
                VM.assertEq(a.i, i);
                VM.assertTrue(a.size > a.prevSize, "grows");
                VM.assertEq(log.commitment(logId, i), keccak256(abi.encode(a)));
                if (i == 1) {
                    VM.assertEq(a.prevSize, 0);
                    VM.assertEq(a.prevBlock, log.logInfo(logId).openedBlock);
                } else {
                    VM.assertEq(a.prevSize, made[i - 2].size);
                    VM.assertEq(a.prevBlock, made[i - 2].block);
                    VM.assertEq(a.prevTime, made[i - 2].time);
                }
            }
            VM.assertEq(log.commitment(logId, uint64(made.length) + 1), bytes32(0));
            (uint64 size, uint64 count,,, bytes32 root) = log.head(logId);
            VM.assertEq(count, made.length);
            if (made.length != 0) {
                VM.assertEq(size, made[made.length - 1].size);
                VM.assertEq(root, made[made.length - 1].root);
            }
        }
    }

    function invariant_noCallWithoutRightSucceeds() public view {
        VM.assertEq(handler.broken(), 0);
    }

    function invariant_oneOpenLogPerKind() public view {
        for (uint256 k = 0; k < handler.logCount(); k++) {
            IAnchorLog.LogInfo memory info = log.logInfo(handler.logIds(k));
            bool last = log.lastLog(info.member, info.kind) == handler.logIds(k);
            VM.assertTrue(info.closed || last);
            VM.assertTrue(last == (info.successor == 0));
        }
    }

    function invariant_governingMembersAreCounted() public view {
        IMemberRegistry.Member[] memory all = handler.memberRegistry().members();
        uint256 counted = 0;
        for (uint256 k = 0; k < all.length; k++) {
            if (all[k].governing && all[k].status == IMemberRegistry.Status.Active) counted++;
        }
        VM.assertEq(handler.memberRegistry().governingCount(), counted);
    }
}
