"""A table without its store is judged without torch, which alone would take 350 MB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd

from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES


def write_table(path: Path) -> Path:
    rows = pd.DataFrame(
        {"run_id": "r", "fold": 1, "role": "test", "sample_id": [f"s{i}" for i in range(8)],
         "split_group": [f"g{i}" for i in range(8)], "station": "ALR", "start_utc": pd.Timestamp("2021-03-01"),
         "event_id": None, "y_magnitude": "Normal", "y_azimuth": "Normal"}
    )  # fmt: skip
    for task, classes in (("magnitude", MAGNITUDE_CLASSES), ("azimuth", AZIMUTH_CLASSES)):
        rows = rows.assign(**{f"p_{task}_{name}": 1 / len(classes) for name in classes})
    rows.to_parquet(path)
    return path


def test_a_table_alone_is_judged_without_torch_and_pyplot(tmp_path: Path) -> None:
    table = write_table(tmp_path / "p.parquet")
    code = (
        "import sys; sys.argv = ['seismag', 'evaluate', '--predictions', sys.argv[1], '--json', "
        "'--set', 'evaluate.bootstrap=100', '--out', sys.argv[2]]\n"
        "from seismag.cli import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, table, tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "reliability.png").is_file()
