# SPDX-License-Identifier: BSD-3-Clause
"""One module for each family of rows: measurements(at) gives what to run."""
