# SPDX-License-Identifier: Apache-2.0
"""Questions between departments (protocol section 8, docs/exchange.md): asked, answered, logged on both sides first."""
