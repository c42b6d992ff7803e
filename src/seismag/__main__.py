"""``python -m seismag`` is the command ``seismag``."""

from seismag.cli import main

if __name__ == "__main__":
    main()
