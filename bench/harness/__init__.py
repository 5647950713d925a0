# SPDX-License-Identifier: BSD-3-Clause
"""What all rows share: the arithmetic, the launchers, the runner, the report."""
