"""``seismag train`` with the enhanced options; further options follow, ``--set model.backbone=convnext_atto``."""

import sys
from pathlib import Path

if __name__ == "__main__":  # train.devices starts processes that read this file
    try:
        from seismag.cli import main
    except ImportError:
        sys.exit("seismag is not installed in this Python. Run 'make setup', then 'source .venv/bin/activate'.")
    sys.argv[1:1] = ["train", "--config", str(Path(__file__).resolve().with_name("config_improved.json"))]
    main()
