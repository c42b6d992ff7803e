"""The demonstration: two synthetic archives, with and without an injected signal, through the complete pipeline."""
