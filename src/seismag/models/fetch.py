"""Fetch a model and its model card from a path or a web server: verified, whole or not at all, resumable."""

from __future__ import annotations

import base64
import re
import shutil
import urllib.error
import urllib.parse
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from seismag.cards import ModelCard, card_path, write_card
from seismag.disk_space import KEPT, require_space, space_for
from seismag.documents import Document, read_document
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import file_sha256, parse_json, shown_path, write_json_atomic
from seismag.folder_lock import file_lock
from seismag.limits import MODEL_CARD, WEIGHTS, read_file, require_file
from seismag.models.registry import WHERE_MODELS_COME_FROM, model_file
from seismag.parallel import Progress, silent
from seismag.web import NETWORK_ERRORS, SCHEMES, TooLongError, allowed_s, open_url, read_blocks

FOLDER = Path("models")
_TIMEOUT_S = 30.0
_PARTIAL = ".partial"  # NAME.pth.partial grows; NAME.pth.partial.json records its source


class _Download(Document):
    url: str
    validator: str | None


@dataclass(frozen=True)
class FetchedModel:
    """A model that is here now."""

    file: str
    source: str  # path, or address without its secrets
    sha256: str  # verified
    bytes: int
    fetched: bool  # False: it was here already
    resumed_at: int  # byte at which the download was resumed
    card: str | None  # path of the model card; None, like the run: weights that are no seismag checkpoint
    run_id: str | None

    def to_json(self) -> dict[str, object]:
        """The document of ``models fetch --json``."""
        return asdict(self)


def fetch_model(
    source: str | None, out: Path | None = None, sha256: str | None = None, progress: Progress = silent
) -> FetchedModel:
    """Copy or download a model and the model card next to it.

    The checksum must be known beforehand: from ``sha256``, or from the model card. A seismag checkpoint without one
    gets the model card inside it; other weights stay without.

    Args:
        source: a path (of a run folder: its best model), or a URL of http or https.
        out: file or existing folder; None: ``models/`` and the name of the source.

    Raises:
        UsageError: no source, no checksum, another file of that name is here.
        SeismagError: the source is not available, broke off (a second call resumes), has another checksum, or is no
            model.
    """
    if not source:
        raise UsageError(f"no SOURCE given. seismag ships no weights: {WHERE_MODELS_COME_FROM}")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"--sha256 {sha256}: a checksum has 64 hexadecimal digits.")
    is_url = "://" in source
    if is_url and urllib.parse.urlsplit(source).scheme not in SCHEMES:
        raise UsageError(f"{shown(source)}: only http and https are fetched. Copy the file here and name its path.")
    local = None if is_url else model_file(Path(source))
    if local is not None and not local.is_file():
        raise SeismagError(f"{source}: no such file. {WHERE_MODELS_COME_FROM}")
    target = _target(source if local is None else local.name, out, is_url)
    card = _remote_card(source) if local is None else _local_card(local)
    expected, most = _expected_checksum(source, sha256, card), _most_bytes(card)
    if local is not None and (size := require_file(local, WEIGHTS)) > most:
        raise SeismagError(f"{source}: has {size:,} bytes, its model card states {most:,}. One is of another file.")
    if target.is_file():
        if file_sha256(target) != expected:
            raise UsageError(f"{target}: another file of this name is here. Choose another --out, or remove it.")
        here = _local_card(target)
        if here is None and card is not None:
            write_card(target, card.document)
        return _result(target, source, expected, here or card, resumed_at=None)
    beside = _local_card(target)
    if beside is not None and beside.sha256.lower() != expected:  # else that of a call that was killed before its end
        raise UsageError(
            f"{card_path(target)}: the model card of another model is here. Choose another --out, or remove it."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + _PARTIAL)
        with file_lock(target), _unless_local(partial, local):
            resumed_at = download(source, partial, progress, most) if local is None else _copy(local, partial)
            card = _check(partial, source, expected, card)
            if card is not None:
                origin = shown(source) if local is None else shown_path(local)
                write_card(target, {**card.document, "fetched_from": origin}, content=partial)
            partial.replace(target)
            _state_path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise SeismagError(f"{target}: cannot be written ({error.strerror or error}). Choose another --out.") from error
    return _result(target, source, expected, card, resumed_at)


def describe_fetch(result: FetchedModel) -> str:
    """Write lines for a terminal: the file, its source and its model card."""
    how = f"from {result.source}" if result.fetched else "was here already, the checksum is right"
    if result.resumed_at:
        how += f", resumed at byte {result.resumed_at}"
    lines = [
        f"model       {result.file} ({result.bytes} bytes)",
        f"            {how}",
        f"sha256      {result.sha256}, verified",
        f"model card  {result.card or 'none: not a seismag checkpoint'}",
    ]
    if result.card is None:
        lines.append("            'seismag legacy weights' turns weights of an earlier system into one.")
    return "\n".join(lines)


def download(url: str, partial: Path, progress: Progress = silent, most: int = WEIGHTS.stored) -> int:
    """Download into ``partial``, resuming an earlier download from the same URL; returns the first byte of this one.

    Raises:
        SeismagError: the server refuses, cannot be reached, is too slow, or the connection broke, and the bytes
            received are kept; or the file is larger than ``most`` bytes, and nothing is kept.
        FullDiskError: the disk has no room for it; the bytes received are kept.
    """
    try:
        state = read_document(_state_path(partial), _Download, "")
    except SeismagError:
        state = {}
    have = partial.stat().st_size if partial.is_file() and state.get("url") == shown(url) else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and state.get("validator"):
        headers["If-Range"] = state["validator"]  # a file that changed is sent whole
    try:
        with _open(url, headers, most) as response:
            start, total = _range_of(response)
            if total is not None and total > most:
                raise TooLongError(_too_many(total, most))
            if start not in (0, have):
                raise SeismagError(f"{shown(url)}: the server sent another range. Remove {partial} and try again.")
            have = start  # 0: the server does not resume, or the file changed
            tag = response.headers.get("ETag") or "W/"
            validator = response.headers.get("Last-Modified") if tag.startswith("W/") else tag  # strong ones only
            size = total if total is not None else most if most < WEIGHTS.stored else 0  # of the model card
            with space_for(partial.parent, size - have, KEPT):
                write_json_atomic(_state_path(partial), {"url": shown(url), "validator": validator})
                done = _receive(response, partial, have, total, progress, most)
    except TooLongError as error:
        if (size := partial.stat().st_size if partial.is_file() else 0) >= most or "bytes, the limit" in str(error):
            partial.unlink(missing_ok=True)
            _state_path(partial).unlink(missing_ok=True)
            raise SeismagError(f"{shown(url)}: {error}. Nothing was kept; get it from its author.") from error
        raise SeismagError(f"{shown(url)}: {error}; {size} bytes are kept. Run the same command again.") from error
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left: whole already, or part of an earlier, longer file
            return have
        raise SeismagError(_http_message(url, error)) from error
    except NETWORK_ERRORS as error:
        raise SeismagError(_broken(url, partial, error)) from error
    if total is not None and done != total:
        raise SeismagError(_broken(url, partial, f"{done} of {total} bytes received"))
    return have


@contextmanager
def _unless_local(partial: Path, local: Path | None) -> Iterator[None]:
    """Keep what was received when the block fails, but not the copy of a file that is here anyway."""
    try:
        yield
    except BaseException:
        if local is not None:
            partial.unlink(missing_ok=True)
        raise


def _copy(source: Path, partial: Path) -> int:
    require_space(partial.parent, source.stat().st_size)
    shutil.copyfile(source, partial)
    return 0


def shown(source: str) -> str:
    """Write a URL without user, password and query, which may contain secrets; a path as it is."""
    if "://" not in source:
        return source
    parts = urllib.parse.urlsplit(source)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _target(name: str, out: Path | None, is_url: bool) -> Path:
    if is_url:
        name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(name).path)).name
    target = FOLDER / name if out is None else out / name if out.is_dir() else out
    if target.suffix != ".pth":
        raise UsageError(f"{target}: a model's file ends in .pth. Name it with --out models/NAME.pth.")
    return target


def _expected_checksum(source: str, sha256: str | None, card: ModelCard | None) -> str:
    stated = None if card is None else card.sha256.lower()
    given = None if sha256 is None else sha256.lower()
    if given is None and stated is None:
        raise UsageError(
            f"{shown(source)}: no model card (.json) next to it, so its checksum is unknown. Give --sha256 CHECKSUM, "
            "from the author of the file."
        )
    if given is not None and stated is not None and given != stated:
        raise SeismagError(
            f"{shown(source)}: --sha256 is {given[:12]}..., its model card has {stated[:12]}.... One of them "
            "is of another file."
        )
    return given or stated or ""


def _result(target: Path, source: str, sha256: str, card: ModelCard | None, resumed_at: int | None) -> FetchedModel:
    beside, run_id = (None, None) if card is None else (str(card_path(target)), card.document.get("run_id"))
    size, fetched = target.stat().st_size, resumed_at is not None
    return FetchedModel(str(target), shown(source), sha256, size, fetched, resumed_at or 0, beside, run_id)


def _check(partial: Path, source: str, expected: str, card: ModelCard | None) -> ModelCard | None:
    """Verify checksum and content; returns the model card, from inside the file where there was none."""
    from seismag.training.checkpoint import card_within

    found = file_sha256(partial)
    try:
        if found != expected:
            raise SeismagError(
                f"{shown(source)}: its sha256 is {found[:12]}..., not {expected[:12]}...: damaged on the way, "
                "or another file. Nothing was kept; fetch it again."
            )
        within = card_within(partial)
        if card is not None and within is None:
            raise SeismagError(f"{shown(source)}: not a seismag checkpoint, although it has a model card.")
    except SeismagError:
        partial.unlink()
        _state_path(partial).unlink(missing_ok=True)
        raise
    return card if card is not None else within


def _local_card(source: Path) -> ModelCard | None:
    beside = card_path(source)
    return _parse_card(read_file(beside, MODEL_CARD), str(beside)) if beside.is_file() else None


def _remote_card(url: str) -> ModelCard | None:
    parts = urllib.parse.urlsplit(url)
    beside = urllib.parse.urlunsplit(parts._replace(path=str(PurePosixPath(parts.path).with_suffix(".json"))))
    try:
        with _open(beside, {}, MODEL_CARD.stored) as response:
            return _parse_card(b"".join(read_blocks(response, MODEL_CARD.stored)), shown(beside))
    except TooLongError as error:
        raise SeismagError(f"{shown(beside)}: {error}. Check the address of the model.") from error
    except urllib.error.HTTPError as error:
        if error.code in (403, 404, 410):
            return None
        raise SeismagError(_http_message(beside, error)) from error
    except NETWORK_ERRORS as error:
        raise SeismagError(_broken(url, None, error)) from error


def _parse_card(content: bytes, name: str) -> ModelCard:
    remedy = "Get the one that was made with the model."
    try:
        document = parse_json(content, name, remedy)
    except DataError:
        document = None
    if not isinstance(document, dict) or not re.fullmatch(r"[0-9a-fA-F]{64}", str(document.get("sha256", ""))):
        raise SeismagError(f"{name}: not a model card (JSON with a sha256). {remedy}")
    return ModelCard.from_json(document, name)


def _open(url: str, headers: dict[str, str], most: int) -> AbstractContextManager[Any]:
    parts = urllib.parse.urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    plain = urllib.parse.urlunsplit(parts._replace(netloc=host))
    if user:  # urllib would take it for a part of the host name
        secret = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        headers = {**headers, "Authorization": f"Basic {secret}"}
    return open_url(plain, headers, _TIMEOUT_S, allowed_s(most))


def _most_bytes(card: ModelCard | None) -> int:
    """Return the bytes that the model may have: those of its model card, and the limit of a model."""
    stated = None if card is None or card.document.get("replaces_sha256") else card.document.get("bytes")
    return min(stated, WEIGHTS.stored) if type(stated) is int and stated > 0 else WEIGHTS.stored


def _too_many(size: int, most: int) -> str:
    return f"the server announces {size:,} bytes, and the file has at most {most:,} bytes, the limit"


def _range_of(response: Any) -> tuple[int, int | None]:
    """Return the first byte that the server sends, and the size of the whole file (None: not stated)."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status == 206 and match:
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _receive(response: Any, partial: Path, have: int, total: int | None, progress: Progress, most: int) -> int:
    done = have
    with partial.open("ab" if have else "wb") as file:
        for block in read_blocks(response, most - have):
            file.write(block)
            done += len(block)
            if total:
                progress("download, bytes", done, total)
    return done


def _state_path(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _http_message(url: str, error: urllib.error.HTTPError) -> str:
    return f"{shown(url)}: the server answers {error.code} {error.reason}. Check the address."


def _broken(url: str, partial: Path | None, why: str | Exception) -> str:
    if isinstance(why, Exception):
        why = str(getattr(why, "reason", None) or why) or type(why).__name__
    have = partial.stat().st_size if partial is not None and partial.is_file() else 0
    if not have:
        return f"{shown(url)}: cannot be reached ({why}). Check the address and the network."
    return f"{shown(url)}: the connection broke ({why}); {have} bytes are kept. Run the same command again to resume."
