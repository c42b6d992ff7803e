"""Quoted numbers with their sources, and the check that each number in a text equals its source.

In Markdown a number is followed by a comment, ``0.269<!-- src: RUN metrics.json#/magnitude/mcc/value .3f -->``:
subject, document, JSON pointer (RFC 6901) and format. A recorded sentence begins with ``<!-- quote -->`` and ends with
the same comment, format ``text``. In HTML the source is an attribute,
``<span data-src="RUN metrics.json#/magnitude/mcc/value .3f">0.269</span>``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from seismag.domain import DataError

UNDEFINED = "undefined"  # for null
Documents = Mapping[str, Mapping[str, Any]]  # by subject and name of the document
_NUMERAL = r"[+\-\u2212]?\d[\d,.]*(?:e[+-]?\d+)?"
_COMMENT = re.compile(
    rf"(?:<!-- quote -->(?P<quoted>(?:(?!<!--).)*)|(?P<shown>undefined|\d{{4}}-\d\d-\d\d|{_NUMERAL}(?:\u00a0%)?))"
    r"<!-- src: (?P<source>.*?) -->",
    re.DOTALL,
)
_SOURCE = re.compile(r"(?P<subject>\S+) (?P<document>[^#\s]+)#(?P<pointer>\S*) (?P<form>\S+)")
_SPAN = re.compile(r'<span[^>]* data-src="(?P<source>[^"]*)"[^>]*>(?P<shown>.*?)</span>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NOT_TEXT = re.compile(
    r"```.*?```|~~~.*?~~~|`[^`\n]*`|<!--.*?-->|\]\([^)]*\)|https?://\S+|doi:\S+|\[@[^\]]*\]|^\s*\d+\. |^#+ [\d.]+ ",
    re.DOTALL | re.MULTILINE,
)
_PLAIN_IN_POINTER = "~!$&'()*+,;=:@"
_PLAIN_NAME = re.compile(r"[^\W_][\w .,()-]*")
_NUMBER = re.compile(rf"(?<![\w.\-]){_NUMERAL}")  # H10, Pc3, ConvNeXt-V2 are names


class MissingNumberError(DataError):
    """A number that a text quotes is not recorded."""


@dataclass(frozen=True)
class Problem:
    """A number of a text without a source, or different from it."""

    shown: str
    reason: str


@dataclass(frozen=True)
class Quoter:
    """Quotes the documents of one subject, a run or a cross-validation."""

    subject: str  # its identifier, without blanks
    documents: Mapping[str, Any]  # by file name, as JSON has them

    def value(self, document: str, pointer: str) -> Any:
        """Give a recorded value, for a decision about the text.

        Raises:
            MissingNumberError: the document, or the place in it, does not exist.
        """
        if document not in self.documents:
            raise MissingNumberError(
                f"{self.subject}: {document} is not recorded, and the report quotes {pointer} of it."
            )
        try:
            return resolve(self.documents[document], pointer)
        except LookupError as error:
            raise MissingNumberError(
                f"{self.subject}: {document} has no {pointer}, which the report quotes. Evaluate the run again with "
                "this version of seismag."
            ) from error

    def knows(self, document: str, pointer: str = "") -> bool:
        """Whether a value is recorded and not null."""
        try:
            return self.value(document, pointer) is not None
        except MissingNumberError:
            return False

    def number(self, document: str, pointer: str, form: str = ".3f") -> str:
        """Write a number in Markdown with its source after it; for ``form`` see ``write_number``."""
        shown = write_number(self.value(document, pointer), form)
        return f"{shown}<!-- src: {self.subject} {document}#{pointer} {form} -->"

    def sentence(self, document: str, pointer: str) -> str:
        """Quote a recorded sentence, with its source after it."""
        text = write_number(self.value(document, pointer), "text")
        return f"<!-- quote -->{text}<!-- src: {self.subject} {document}#{pointer} text -->"

    def interval(self, document: str, pointer: str, form: str = ".3f") -> str:
        """Write a score with its interval, from ``value``, ``low`` and ``high`` below ``pointer``."""
        shown = self.number(document, f"{pointer}/value", form)
        if self.value(document, f"{pointer}/low") is None:
            return f"{shown} (no interval)"
        low, high = (self.number(document, f"{pointer}/{side}", form) for side in ("low", "high"))
        return f"{shown} [{low}, {high}]"


def write_number(value: Any, form: str) -> str:
    """Write a number.

    Args:
        value: of the record; None is written as "undefined".
        form: a format of Python such as ``.3f``, ``+.3f``, ``d`` (thousands by comma: ``,d``) or ``.1%``; ``len``
            writes how many entries a list has, ``date`` the day of an ISO date or time, ``text`` a recorded sentence on
            one line.

    Raises:
        DataError: not a number.
    """
    if form == "len":
        if not isinstance(value, (list, dict)):
            raise DataError(f"{value!r} has no entries to be counted.")
        return str(len(value))
    if value is None:
        return UNDEFINED
    if form == "text" and isinstance(value, str):
        return " ".join(without_tags(value.replace("|", "/").replace("`", "'").replace("<!--", "")).split())
    if form == "date" and isinstance(value, str) and _DATE.match(value):
        return value[:10]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"{value!r} is not a number, so it cannot be quoted as one.")
    if form.endswith("d"):
        value = int(value)
    if form.endswith("%"):
        return format(100 * value, f"{form[:-1]}f") + "\u00a0%"
    return format(value, form)


def without_tags(text: str) -> str:
    """Insert a space after each "<" that would start a tag, so that recorded text is shown and not interpreted."""
    return re.sub(r"<(?=[A-Za-z/!?])", "< ", text)


def resolve(document: Any, pointer: str) -> Any:
    """Follow a JSON pointer (RFC 6901); "" is the whole document.

    Raises:
        LookupError: the value does not exist.
    """
    found = document
    for part in pointer.split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            if not key.isdigit():
                raise LookupError(key)
            found = found[int(key)]
        elif isinstance(found, Mapping):
            found = found[key]
        else:
            raise LookupError(key)
    return found


def escape(key: str) -> str:
    """Write a key as a part of a JSON pointer in a URI fragment (RFC 6901, section 6): no blanks, "#", "<" or ">"."""
    return quote(key.replace("~", "~0").replace("/", "~1"), safe=_PLAIN_IN_POINTER)


def code(text: object) -> str:
    """Format a name as code, in which digits need no source."""
    return f"`{' '.join(str(text).replace('`', '').split())}`"


def as_text(name: object) -> str:
    """Write a recorded name so that it is no markup and no number: as it is where it is plain, else as code."""
    text = " ".join(str(name).split())
    return text if _PLAIN_NAME.fullmatch(text) and not _NUMBER.search(text) else code(text)


def check_markdown(text: str, documents: Documents) -> list[Problem]:
    """Compare each number of a Markdown text with its source, and name those without one.

    Numbers in code, links, citations, the numbering of lists and headings, and names such as Pc3 need none.
    """
    problems = [
        problem
        for match in _COMMENT.finditer(text)
        if (problem := _compare(_shown(match), match["source"], documents)) is not None
    ]
    rest = _COMMENT.sub("", text)
    problems += [
        Problem(match[0][:60], "a source without its number") for match in re.finditer(r"<!-- src: .*? -->", rest)
    ]
    return problems + list(_without_source(_NOT_TEXT.sub(" ", rest)))


def check_html(text: str, documents: Documents) -> list[Problem]:
    """Compare each number of a page that has a source with it; numbers without one are not searched for."""
    return [
        problem
        for match in _SPAN.finditer(text)
        if (problem := _compare(html.unescape(_TAG.sub("", match["shown"])), match["source"], documents)) is not None
    ]


def to_html(fragment: str) -> str:
    """Turn the source comments of a rendered fragment into attributes."""
    return _COMMENT.sub(lambda match: f'<span data-src="{match["source"]}">{_shown(match)}</span>', fragment)


def without_sources(text: str) -> str:
    """Remove the source comments."""
    return re.sub(r"<!-- (?:src: .*?|quote) -->", "", text)


def _shown(match: re.Match[str]) -> str:
    return str(match["shown"] if match["quoted"] is None else match["quoted"])


def _compare(shown: str, source: str, documents: Documents) -> Problem | None:
    match = _SOURCE.fullmatch(source)
    if match is None:
        return Problem(shown, f"its source cannot be read: {source}")
    try:
        value = resolve(documents[match["subject"]][match["document"]], match["pointer"])
    except LookupError:
        return Problem(shown, f"its source does not exist: {source}")
    try:
        expected = write_number(value, match["form"])
    except (DataError, ValueError) as error:
        return Problem(shown, f"{source}: {error}")
    return None if shown == expected else Problem(shown, f"{source} is {expected}")


def _without_source(text: str) -> Iterator[Problem]:
    for match in _NUMBER.finditer(text):
        line = text[text.rfind("\n", 0, match.start()) + 1 :].partition("\n")[0].strip()
        yield Problem(match[0], f"a number without a source, in: {line[:100]}")
