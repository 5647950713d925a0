# SPDX-License-Identifier: BSD-3-Clause
"""charmrun - start jobs as Charm4py's launcher does; see charmrun.start."""
