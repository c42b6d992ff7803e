"""``seismag evaluate``: an enhanced model is a model like any other (--model FILE --data STORE)."""

import sys

if __name__ == "__main__":
    try:
        from seismag.cli import main
    except ImportError:
        sys.exit("seismag is not installed in this Python. Run 'make setup', then 'source .venv/bin/activate'.")
    sys.argv[1:1] = ["evaluate"]
    main()
