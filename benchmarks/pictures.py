"""The pictures of README.md, made by the code: from a publication, an archive and a browser.

    python benchmarks/audit.py --parts scenarios --work WORK
    (cd WORK/study-injected_weak && seismag report loeo_convnext_results)
    python benchmarks/pictures.py --publication WORK/study-injected_weak/publication_convnext \\
        --archive WORK/injected_weak

writes docs/pictures: a day of the archive, the map, the scores with baselines, the Molchan diagram, the architecture, a
window with its attribution where the publication has one, and the head of report.html where Chromium is found. All
of them show simulated data.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from seismag.archive.listing import choose_day
from seismag.config import DataConfig
from seismag.recordings.figure import draw_day

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
LARGEST_BYTES = 200_000
WIDTH_PX = 900
NEARLY_WHITE = 247
FIGURES = {
    "map": "map",
    "scores": "scores",
    "molchan": "molchan",
    "architecture": "architecture",
    "gradcam_large": "gradcam",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def shrink(source: Path, target: Path) -> None:
    """Write a picture with a palette of its own, narrow enough for a README.

    Raises:
        ValueError: it is too large all the same.
    """
    with Image.open(source) as picture:
        width = min(WIDTH_PX, picture.width)
        size = (width, round(picture.height * width / picture.width))
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    shown = small.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)  # keeps rare colours
    colours = np.reshape(shown.getpalette() or [], (-1, 3))
    colours[(colours > NEARLY_WHITE).all(axis=1)] = 255
    shown.putpalette(colours.ravel().tolist())
    shown.save(target, "PNG", optimize=True)
    if target.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"{target}: {target.stat().st_size} bytes, the limit is {LARGEST_BYTES}.")


def photograph(page: Path, target: Path) -> bool:
    """Write the head of a page as it stands in a browser; False where the page or a browser is missing."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None or not page.is_file():
        return False
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1060,1280"]
    address = page.resolve().as_uri()
    command = [program, *options, "--virtual-time-budget=20000", f"--screenshot={target}", address]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return True


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publication", type=Path, required=True, help="folder of seismag report")
    parser.add_argument("--archive", type=Path, required=True, help="simulated; one of its days is drawn")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        day, head = Path(scratch) / "day.png", Path(scratch) / "page.png"
        recording, emissions = choose_day(arguments.archive, None, None)
        draw_day(recording, DataConfig(), day, emissions)
        sources = {"day": day}
        if photograph(arguments.publication / "report.html", head):
            sources["page"] = head
        for name, picture in FIGURES.items():
            sources[picture] = arguments.publication / "figures" / f"{name}.png"
        for name, source in sources.items():
            if not source.is_file():
                print(f"{name:<14}not in the publication")
                continue
            shrink(source, arguments.out / f"{name}.png")
            print(f"{name:<14}{(arguments.out / f'{name}.png').stat().st_size} bytes")


if __name__ == "__main__":
    main()
