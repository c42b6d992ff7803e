"""From H, D, Z at 1 Hz to power in decibels: artefacts blanked, gaps masked, one short Fourier transform a column."""
