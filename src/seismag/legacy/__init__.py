"""The earlier system's data set, pictures and a metadata table, as a store that says so.

``prepare_legacy`` is the door; ``metadata`` reads the tables, ``faults`` judges their rows, ``pictures`` the files.
"""

from seismag.legacy.pictures import PreparedImages, prepare_legacy

__all__ = ["PreparedImages", "prepare_legacy"]
