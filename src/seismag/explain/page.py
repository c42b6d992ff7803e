"""Files of an explanation: JSON document, figures, and one page with embedded figures."""

from __future__ import annotations

import base64
import os
from collections import Counter
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from seismag.documents import Document, read_document
from seismag.domain import SeismagError, UsageError
from seismag.explain.compute import Explanation
from seismag.explain.embedding import draw_embedding_view
from seismag.explain.figure import METHOD_NAMES, draw_importance, draw_sanity, draw_window
from seismag.files import atomic_path, write_checked_json, write_text_atomic
from seismag.folder_lock import one_writer
from seismag.parallel import Progress, silent
from seismag.spectrograms.bands import BAND_LABELS
from seismag.table_files import write_csv
from seismag.text import interval, number

PAGE, DOCUMENT = "gallery.html", "explanation.json"
IMPORTANCE, SANITY, VIEW, VIEW_TABLE = "band_importance.png", "sanity.png", "embedding_view.png", "embedding_view.csv"
WINDOWS = "windows"
_WORDS = {"pass": "passed", "fail": "failed", "inconclusive": "inconclusive"}


def prepare_folder(out: Path) -> None:
    """Make the output folder before the computation.

    Raises:
        UsageError: it cannot be made or written into.
    """
    try:
        (out / WINDOWS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be made ({error.strerror}). Choose another folder.") from error
    if not os.access(out / WINDOWS, os.W_OK):
        raise UsageError(f"--out {out}: cannot be written into. Choose another folder.")


@one_writer(whole=True)
def write_explanation(explanation: Explanation, out: Path, progress: Progress = silent) -> Path:
    """Write document, figures and page, which is returned; pictures of an earlier explanation here are removed."""
    prepare_folder(out)
    _remove_earlier(out)
    document = explanation.document
    for done, window in enumerate(explanation.windows):
        progress("pictures", done, len(explanation.windows))
        draw_window(window, explanation, out / window.facts["file"])
    progress("pictures", len(explanation.windows), len(explanation.windows))
    draw_importance(document, out / IMPORTANCE)
    draw_sanity(document, out / SANITY)
    if explanation.view is not None:
        with atomic_path(out / VIEW_TABLE) as temporary:
            write_csv(explanation.view.table, temporary)
        draw_embedding_view(explanation.view, out / VIEW)
    write_checked_json(out / DOCUMENT, document)
    write_text_atomic(out / PAGE, render_page(document, out))
    return out / PAGE


def render_page(document: dict[str, Any], folder: Path) -> str:
    """Render the page with the figures of the folder embedded."""
    environment = Environment(
        loader=PackageLoader("seismag.explain"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip

    def picture(name: str) -> str:
        return f"data:image/png;base64,{base64.b64encode((folder / name).read_bytes()).decode('ascii')}"

    environment.globals.update(number=number, interval=interval, band=BAND_LABELS.__getitem__, picture=picture)
    return environment.get_template("page.html.j2").render(
        document=document,
        method=METHOD_NAMES[document["method"]],
        has_view=(folder / VIEW).is_file(),
        names={"importance": IMPORTANCE, "sanity": SANITY, "view": VIEW, "table": VIEW_TABLE},
        words=_WORDS,
        conclusion=conclude(document),
        strongest=strongest_parts(document),
    )


def conclude(document: dict[str, Any]) -> dict[str, str]:
    """Summarise in one sentence whether the maps can be interpreted."""
    counts = Counter(result["verdict"] for result in document["sanity"])
    counted = ", ".join(f"{counts[verdict]} {word}" for verdict, word in _WORDS.items() if counts[verdict])
    if counts["fail"]:
        return {"verdict": "fail", "text": f"These maps must not be interpreted: sanity tests {counted}."}
    blind = [task for task, entry in document["skill"].items() if not entry["shown"]]
    if {"magnitude", "detection"} <= set(blind):
        text = f"The model shows no skill in these windows, so the maps explain noise (sanity tests {counted})."
        return {"verdict": "inconclusive", "text": text}
    if counts["inconclusive"]:
        return {"verdict": "inconclusive", "text": f"The sanity tests are partly inconclusive: sanity tests {counted}."}
    text = f"No sanity test failed ({counted}): the maps describe the model. Whether the model detects a signal is "
    return {"verdict": "pass", "text": f"{text}tested by the audit."}


def strongest_parts(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The three bands of single components with the largest importance for detection and an interval above 0."""
    parts = [
        part
        for part in document["band_importance"]["parts"]
        if part["band"] != "all" and part["component"] != "all" and (part["detection"]["log_score"]["low"] or 0) > 0
    ]
    return sorted(parts, key=lambda part: -part["detection"]["log_score"]["value"])[:3]


def format_explanation(document: dict[str, Any]) -> str:
    """Format the document for a terminal."""
    lines = [
        f"{document['model_run_id']}: {METHOD_NAMES[document['method']]} of {document['n_windows']} windows not used "
        f"in training, of {document['n_unseen_windows']}",
        "",
        "sanity of the maps",
        *(f"  {result['verdict']:10} {result['sentence']}" for result in document["sanity"]),
        "",
        "permutation importance: loss of the log score of detection (nat), "
        f"{document['band_importance']['n_windows']} windows",
    ]
    for part in document["band_importance"]["parts"]:
        if part["component"] == "all" or part["band"] == "all":
            name = f"{BAND_LABELS[part['band']]}, {part['component']}"
            lines.append(f"  {name:18}{interval(part['detection']['log_score'])}")
    for name, probe in document["embeddings"].get("probes", {}).items():
        if probe["balanced_accuracy"] is not None:
            lines.append(
                f"features encode {name.replace('_', ' ')} with balanced accuracy {number(probe['balanced_accuracy'])} "
                f"(shuffled {number(probe['shuffled'])})"
            )
    return "\n".join([*lines, "", *(f"note: {text}" for text in (*document["warnings"], *document["notes"]))])


class _Picture(Document):
    file: str


class _Earlier(Document):
    windows: list[_Picture]


def _remove_earlier(out: Path) -> None:
    try:
        earlier = read_document(out / DOCUMENT, _Earlier, "")["windows"]
    except SeismagError:
        return
    names = [Path(row["file"]).name for row in earlier if row["file"].endswith(".png")]
    for name in (*(f"{WINDOWS}/{name}" for name in names), VIEW, VIEW_TABLE):
        (out / name).unlink(missing_ok=True)
