"""``seismag evaluate``: an enhanced model is a model like any other (--model FILE --data STORE)."""

import sys

if __name__ == "__main__":
    from seismag.cli import main

    sys.argv[1:1] = ["evaluate"]
    main()
