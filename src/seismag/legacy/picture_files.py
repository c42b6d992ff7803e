"""Finds, checks and reads the pictures of earlier data sets."""

from __future__ import annotations

import hashlib
import io
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from seismag.domain import DataError
from seismag.legacy.metadata import is_litter
from seismag.limits import PICTURE, read_file
from seismag.parallel import Progress, silent

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")  # found; PNG alone is read
_LIMIT = f", more than {PICTURE.cells:,}, the limit of a picture"
_PICTURE_COLUMNS = ["path", "sha256", "height", "width", "reason", "detail"]


def survey_pictures(rows: pd.DataFrame, folder: Path, progress: Progress = silent) -> pd.DataFrame:
    """Find the picture of each row and check that it is complete, PNG, RGB and of the commonest size.

    Args:
        rows: ``paths`` are the candidates, relative to ``folder``; where none exists, the name is searched below it.
        folder: of the data set; no file outside is read.

    Returns:
        path (relative), sha256, height, width, reason, detail (None where there is no defect); index as ``rows``.
    """
    by_name: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _PICTURES and not is_litter(path.relative_to(folder)):
            by_name.setdefault(_composed(path.name), []).append(path)
    found = []
    for number, paths in enumerate(rows["paths"], start=1):
        found.append(_survey_picture(paths, folder, by_name))
        progress("pictures", number, len(rows))
    table = pd.DataFrame(found, columns=_PICTURE_COLUMNS, index=rows.index, dtype=object)
    sizes = table.loc[table["reason"].isna(), ["height", "width"]].value_counts()
    if len(sizes) > 1:
        height, width = sizes.index[0]
        other = table["reason"].isna() & ((table["height"] != height) | (table["width"] != width))
        table.loc[other, "detail"] = [
            f"{h} x {w} pixels, most are {height} x {width}" for h, w in zip(
                table.loc[other, "height"], table.loc[other, "width"], strict=True)
        ]  # fmt: skip
        table.loc[other, "reason"] = "wrong_size"
    return table


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture without defect: (3, height, width), row 0 at the top."""
    with Image.open(io.BytesIO(read_file(path, PICTURE))) as image:
        return np.ascontiguousarray(np.asarray(image)[..., :3].transpose(2, 0, 1))


def _composed(name: str) -> str:
    """A name with composed letters: a Mac writes an accent as a sign of its own."""
    return unicodedata.normalize("NFC", name)


def _survey_picture(paths: list[str], folder: Path, by_name: dict[str, list[Path]]) -> tuple[object, ...]:
    own = [folder / text for text in paths if not Path(text).is_absolute() and ".." not in Path(text).parts]
    path = next((place for place in own if place.is_file()), None)
    if path is None:
        named = by_name.get(_composed(Path(paths[0]).name), [])
        if len(named) != 1:
            why = f"{paths[0]} does not exist, nor a picture of this name anywhere in the data set"
            if named:
                places = ", ".join(str(place.relative_to(folder).parent) for place in named[:3])
                why = f"{Path(paths[0]).name} lies in {len(named)} folders ({places}); the row does not name one"
            return None, None, None, None, "missing_image", why
        path = named[0]
    relative = str(path.relative_to(folder))
    try:
        content = read_file(path, PICTURE)
        with Image.open(io.BytesIO(content)) as image:
            if image.format != "PNG":
                return relative, None, None, None, "wrong_format", f"{image.format}, not PNG"
            if image.width * image.height > PICTURE.cells:
                return relative, None, None, None, "too_large", f"{image.height} x {image.width} pixels{_LIMIT}"
            image.load()
            mode, (width, height) = image.mode, image.size
            if mode != "RGB" and not (mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)):
                return relative, None, None, None, "wrong_mode", f"mode {mode}, not RGB (or RGBA without transparency)"
    except DataError as error:
        return relative, None, None, None, error.reason, str(error).replace(str(path), relative)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # raised by Pillow
        return relative, None, None, None, "unreadable_image", str(error) or type(error).__name__
    return relative, hashlib.sha256(content).hexdigest(), height, width, None, None
