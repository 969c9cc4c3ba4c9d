// SPDX-License-Identifier: Apache-2.0
// Answers requests of test_npm_sd_jwt.py with the npm packages alone: reads one JSON array of requests from
// standard input and writes one JSON array of answers, {"ok": …} or {"error": "…"} each.
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { SDJwtInstance } from '@sd-jwt/core';
import { getListFromStatusListJWT, getStatusListFromJWT } from '@sd-jwt/jwt-status-list';

const hasher = (data) => new Uint8Array(createHash('sha256').update(data).digest());

function checker(publicKey) {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
  return (data, signature) => verify(null, Buffer.from(data), key, Buffer.from(signature, 'base64url'));
}

function signer(seed) {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seed, 'base64url')]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return (data) => sign(null, Buffer.from(data), key).toString('base64url');
}

const operations = {
  // Verify a presentation and return its claims and header.
  verify({ presentation, publicKey, now }) {
    const instance = new SDJwtInstance({ hasher, hashAlg: 'sha-256', verifier: checker(publicKey) });
    return instance.verify(presentation, { currentDate: now });
  },

  // Choose disclosures from a full presentation by name, as a holder would.
  present({ presentation, names }) {
    const instance = new SDJwtInstance({ hasher, hashAlg: 'sha-256' });
    return instance.present(presentation, Object.fromEntries(names.map((name) => [name, true])));
  },

  // Read the status of a record from a status list token, as the Token Status List draft says.
  status({ record, list }) {
    const { idx, uri } = getStatusListFromJWT(record);
    const places = getListFromStatusListJWT(list);
    return { idx, uri, bits: places.getBitsPerStatus(), places: places.statusList.length, status: places.getStatus(idx) };
  },

  // Issue a token of another profile: nested and array disclosures, decoys, key binding.
  async issue({ claims, frame, header, seed, holderSeed, keyBinding, shown }) {
    const instance = new SDJwtInstance({
      hasher,
      hashAlg: 'sha-256',
      signer: signer(seed),
      signAlg: 'EdDSA',
      kbSigner: signer(holderSeed),
      kbSignAlg: 'EdDSA',
      saltGenerator: (length) => randomBytes(length).toString('base64url'),
    });
    const token = await instance.issue(claims, frame, { header });
    return keyBinding === null ? token : instance.present(token, shown, { kb: { payload: keyBinding } });
  },
};

const answers = [];
for (const { operation, ...request } of JSON.parse(await text(process.stdin))) {
  try {
    answers.push({ ok: await operations[operation](request) });
  } catch (error) {
    answers.push({ error: String(error?.message ?? error) });
  }
}
process.stdout.write(JSON.stringify(answers));
