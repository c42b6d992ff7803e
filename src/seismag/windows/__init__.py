"""From days of recordings to a store: windows, their labels and controls, their spectrograms."""
