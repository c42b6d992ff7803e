"""Simulated observatories with known truth: archives in real formats, with or without precursors.

``simulate_archive`` writes one; docs/simulation.md describes the model and how it was calibrated.
"""

from seismag.data.simulate.stage import simulate_archive

__all__ = ["simulate_archive"]
