"""Import of data sets (pictures and metadata tables) and model weights of earlier systems."""

from seismag.legacy.pictures import PreparedImages, prepare_legacy

__all__ = ["PreparedImages", "prepare_legacy"]
