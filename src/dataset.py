"""Windows of a store as a torch data set, under the file name of earlier systems."""

from seismag.training.dataset import SpectrogramDataset, role_indices
from seismag.windows.store import Store, open_store

__all__ = ["SpectrogramDataset", "Store", "open_store", "role_indices"]
