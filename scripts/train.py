"""Train one run: ``seismag train``."""

import sys

from seismag.cli import main

sys.argv[1:1] = ["train"]
main()
