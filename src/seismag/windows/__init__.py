"""Windows of recordings: labels, controls, placebo windows, and the store of spectrograms."""
