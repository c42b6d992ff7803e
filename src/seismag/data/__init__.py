"""From files to the store: recordings, catalogues, indices, windows, spectrograms, splits."""
