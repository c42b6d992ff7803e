"""Ground magnetometers, earthquakes, and what a model may truthfully claim about them."""

from seismag import torchvision_operators

__version__ = "0.1.0"

torchvision_operators.install()
