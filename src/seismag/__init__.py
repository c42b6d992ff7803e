"""Ground magnetometers, earthquakes, and what a model may truthfully claim about them."""

__version__ = "0.1.0"
