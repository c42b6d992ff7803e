"""From H, D, Z at 1 Hz to power in decibels: artefacts blanked, gaps masked, a short-time Fourier transform."""
