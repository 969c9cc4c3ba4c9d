# SPDX-License-Identifier: Apache-2.0
"""Demonstrations on a chain of their own: ``make demo`` (``python -m cli.demo``), ``make demo-exchange`` (``python -m cli.demo.exchange``)."""
