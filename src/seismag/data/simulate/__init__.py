"""Simulated observatories with known truth: archives in real formats, with or without precursors (docs/simulation.md)."""
