"""``seismag explain`` under the name of earlier systems."""

import sys

try:
    from seismag.cli import main
except ImportError:
    sys.exit("seismag is not installed in this Python. Run 'make setup', then 'source .venv/bin/activate'.")
sys.argv[1:1] = ["explain"]
main()
