"""The page of the demonstration: one file, no script, no request, figures inside."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from seismag.audit.page import Conclusion
from seismag.config import Config
from seismag.demonstration.figure import (
    WindowView,
    draw_both_molchan,
    draw_days,
    draw_skill,
    draw_window_view,
    explain_window,
)
from seismag.demonstration.studies import CHANCE_ERROR_DEG, EarlierStudy, StudyResult
from seismag.demonstration.text import signed
from seismag.files import write_text_atomic
from seismag.scoring.study import METRICS_FILE, read_metrics
from seismag.training.crossval import BEST_MODEL

DEMO_PAGE = "index.html"
FIGURES = "figures"
_WORDS: dict[Conclusion, str] = {
    "skill": "Skill found",
    "no_skill": "No skill claimed",
    "inconclusive": "Inconclusive",
    "errors": "Nothing concluded",
    "not_tested": "Not tested",
}
_WEBP_QUALITY = 88
CHECKS: dict[str, str] = {  # blocking checks that the earlier procedure may fail, in words
    "shared_events": "windows before the same earthquake lie in training and test set",
    "overlapping_seconds": "the same seconds of recording lie in training and test set",
    "duplicates": "test windows are copies of training windows",
    "class_by_station": "the station alone predicts the class",
    "class_by_era": "the date alone predicts the class",
    "class_by_edges": "gaps before and after a day predict the class",
    "class_by_pairs": "two columns together predict the class",
}


@dataclass(frozen=True)
class Picture:
    """A figure for an image element: the file as a data address."""

    data: str
    width_px: int


def write_demo_page(
    injected: StudyResult, null: StudyResult, earlier: EarlierStudy, view: WindowView, config: Config, path: Path
) -> None:
    """Draw the figures into a folder beside the page, and write the page with copies of them.

    ``window.png``, of ``view``, is drawn before (``draw_explained_window``).
    """
    folder = path.parent / FIGURES
    station, day = draw_days(injected.place.archive, null.place.archive, folder)
    remedy = "Run the demonstration again."
    alarms = [read_metrics(study.place.results / METRICS_FILE, remedy)["alarms"] for study in (injected, null)]
    draw_both_molchan(alarms[0], alarms[1], folder / "molchan.png")
    draw_skill(injected.skill, null.skill, folder / "skill.png")
    environment = Environment(
        loader=PackageLoader("seismag.demonstration"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(signed=signed)
    pictures = {file.stem: embed(file) for file in sorted(folder.glob("*.png"))}
    page = environment.get_template("demo.html.j2").render(
        injected=injected, null=null, earlier=earlier, words=_WORDS, checks=CHECKS, pictures=pictures, view=view,
        station=station, day=day, emission=config.simulate.emission, spec=config.simulate, chance_deg=CHANCE_ERROR_DEG,
        n_folds=config.split.n_folds,
    )  # fmt: skip
    write_text_atomic(path, page)


def draw_explained_window(study: StudyResult, config: Config, folder: Path) -> WindowView:
    """Explain a window of a study with its best model, and draw it."""
    emission = config.simulate.emission
    view = explain_window(study.place.results / BEST_MODEL, study.place.store)
    draw_window_view(view, (emission.low_mhz, emission.high_mhz), folder / "window.png")
    return view


def embed(file: Path) -> Picture:
    """Return a picture as a data address (WebP), at half its size in pixels."""
    content = io.BytesIO()
    with Image.open(file) as picture:
        width = picture.width
        picture.convert("RGB").save(content, "WEBP", quality=_WEBP_QUALITY, method=2)
    data = base64.b64encode(content.getvalue()).decode()
    return Picture(f"data:image/webp;base64,{data}", width // 2)
