# SPDX-License-Identifier: Apache-2.0
"""Records: what a row becomes, how it is signed, disclosed and verified, and whether it still holds.

* Signing: secret (what one record secret gives), issue (the hot path), sealed (what a node stores).
* Verifying: sdjwt and disclosure (RFC 9901, any token), record (the one profile that is a record), token, names.
* Status: status (lists, tokens, heads).
* Rows: catalogue and fields (kinds of record as data), headers, rows, values and rules (a file's rows to values).

Verification trusts what the caller brings as keys and nothing in the text it is given. Issuing trusts its caller
for fresh secrets, identifiers and places; everything else is checked.
"""
