"""Synthetic archives with known ground truth, and precursors injected into real recordings (docs/simulation.md)."""

from seismag.callable_package import make_callable
from seismag.simulate.inject import inject_archive
from seismag.simulate.synthetic_archive import simulate_archive

__all__ = ["inject_archive", "simulate_archive"]

make_callable(__name__)
