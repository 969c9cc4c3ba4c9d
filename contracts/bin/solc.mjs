#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Gives npm's solc (the Emscripten build) the two command lines that forge uses: --version and --standard-json.
// forge would otherwise download a native compiler, which a closed network cannot.
import { createRequire } from "node:module";
import process from "node:process";
import { text } from "node:stream/consumers";

const solc = createRequire(import.meta.url)("solc");
const options = process.argv.slice(2);

if (options.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else if (options.includes("--standard-json")) {
  // Forge sends every source in the request, so no import callback is given: nothing else may be read.
  // Standard input is read as a stream, because forge's pipe does not block and a synchronous read would fail.
  process.stdout.write(solc.compile(await text(process.stdin)));
} else {
  process.stderr.write("solc.mjs: only --version and --standard-json are supported\n");
  process.exit(2);
}
