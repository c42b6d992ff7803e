"""``seismag models fetch`` under the name of earlier systems; without a source it prints where models come from."""

import sys

try:
    from seismag.cli import main
except ImportError:
    sys.exit("seismag is not installed in this Python. Run 'make setup', then 'source .venv/bin/activate'.")
sys.argv[1:1] = ["models", "fetch"]
main()
