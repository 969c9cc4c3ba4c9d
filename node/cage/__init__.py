# SPDX-License-Identifier: Apache-2.0
"""The cage: what the access logs of several nodes say when they are laid side by side (docs/audit.md)."""
