# SPDX-License-Identifier: Apache-2.0
"""Messy files of invented 双公示 rows, and what an import of them must find."""
