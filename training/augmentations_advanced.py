"""GridMask (``grid_mask``), MixUp (``blend``), CutMix (``cut_and_paste``), and both on a batch (``mix_batch``)."""

from seismag.config import AugmentConfig
from seismag.training.augmentation import blend, cut_and_paste, grid_mask, mix_batch

__all__ = ["AugmentConfig", "blend", "cut_and_paste", "grid_mask", "mix_batch"]
