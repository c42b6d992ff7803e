"""Judge a model on a store: ``seismag evaluate``."""

import sys

from seismag.cli import main

sys.argv[1:1] = ["evaluate"]
main()
