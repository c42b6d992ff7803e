"""Simulated observatories with known truth: archives in real formats, with or without precursors.

``simulate_archive`` writes one; ``inject_archive`` plants the same precursors in real recordings. docs/simulation.md
describes the model and how it was calibrated.
"""

from seismag.simulate.inject import inject_archive
from seismag.simulate.synthetic_archive import simulate_archive

__all__ = ["inject_archive", "simulate_archive"]
