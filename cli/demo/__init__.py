# SPDX-License-Identifier: Apache-2.0
"""``make demo``: the main job, end to end, on a chain of its own (``python -m cli.demo``)."""
