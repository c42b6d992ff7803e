"""Make a store from day files: ``seismag prepare``."""

import sys

from seismag.cli import main

sys.argv[1:1] = ["prepare"]
main()
