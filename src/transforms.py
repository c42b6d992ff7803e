"""Scaling and augmentation of windows, under the file name of earlier systems."""

from seismag.training.augmentation import add_noise, augment_spectra, rotate_field, sample_mask, shift_in_time
from seismag.training.scaling import Scaling, fit_scaling

__all__ = ["Scaling", "add_noise", "augment_spectra", "fit_scaling", "rotate_field", "sample_mask", "shift_in_time"]
