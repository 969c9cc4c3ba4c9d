# SPDX-License-Identifier: Apache-2.0
"""Records: what a row becomes, how it is signed, disclosed and verified, and whether it still holds.

* Signing: secret (what one record secret gives), issue (the hot path), sealed (what a node stores).
* Verifying: sdjwt and disclosure (RFC 9901, any token), record (the one profile that is a record), profile, names.
* Status: status (lists, tokens, heads), tombstone (that a record was erased).
* Rows: catalogue, fields and conditions (kinds of record as data), headers, rows, texts, values, shifts and rules (a file's
  rows to values), identity and subjects (what they are found by), chunks (how they travel to a worker and back).

Verification trusts what the caller brings as keys and nothing in the text it is given. Issuing trusts its caller
for fresh secrets, identifiers and places; everything else is checked.
"""
