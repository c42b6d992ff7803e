"""Integrity checks of tables, stores and predictions: what explains a score apart from an effect of earthquakes."""

from seismag.callable_package import make_callable

make_callable(__name__)
