"""``seismag train`` with training/config_improved.json; started anywhere, paths count from the repository."""

import os
import runpy
from pathlib import Path

if __name__ == "__main__":  # train.devices starts processes that read this file
    os.chdir(Path(__file__).resolve().parents[1])
    runpy.run_path("training/train_convnext_enhanced.py", run_name="__main__")
