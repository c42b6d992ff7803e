"""Citations of the page: ``[@welch1967; @liu2022]`` becomes names with years, and a list at the end."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_ENTRY = re.compile(r"^@\w+\{(?P<key>[\w-]+), (?P<fields>.*)\}$", re.MULTILINE)
_FIELD = re.compile(r"(\w+) = \{((?:[^{}]|\{[^{}]*\})*)\}")
_GROUP = re.compile(r"\[(@[\w-]+(?:; ?@[\w-]+)*)\]")


@dataclass(frozen=True)
class Work:
    """A cited work.

    Attributes:
        short: for the text, "Fraser-Smith et al., 1990". full: for the list, HTML.
    """

    short: str
    full: str


def read_works() -> dict[str, Work]:
    """Read the bibliography of every publication (one entry a line), by key."""
    text = files("seismag.report").joinpath("templates/references.bib").read_text("utf-8")
    return {match["key"]: _work(dict(_FIELD.findall(match["fields"]))) for match in _ENTRY.finditer(text)}


def cite(fragment: str, works: Mapping[str, Work]) -> str:
    """Replace citation marks in an HTML fragment by names with links; an unknown key is left unchanged."""

    def group(match: re.Match[str]) -> str:
        keys = [key.strip().removeprefix("@") for key in match[1].split(";")]
        if any(key not in works for key in keys):
            return match[0]
        return "(" + "; ".join(f'<a href="#ref-{key}">{html.escape(works[key].short)}</a>' for key in keys) + ")"

    return _GROUP.sub(group, fragment)


def cited_keys(fragments: Mapping[str, str]) -> list[str]:
    """All cited keys, in alphabetical order."""
    groups = [group for fragment in fragments.values() for group in _GROUP.findall(fragment)]
    return sorted({key.strip().removeprefix("@") for group in groups for key in group.split(";")})


def _work(fields: Mapping[str, str]) -> Work:
    plain = {
        name: html.escape(value.replace("{", "").replace("}", "").replace("--", "–")) for name, value in fields.items()
    }
    authors = [name.split(",")[0] for name in plain["author"].split(" and ")]
    names = " and ".join(authors) if len(authors) <= 2 and "others" not in authors else f"{authors[0]} et al."
    where = ", ".join(plain[key] for key in ("journal", "booktitle", "volume", "pages") if key in plain)
    doi = plain.get("doi")
    link = f' <a href="https://doi.org/{doi}">doi:{doi}</a>' if doi else ""
    written = plain["author"].replace(" and others", " et al.").replace(" and ", "; ")
    return Work(
        html.unescape(f"{names}, {plain['year']}"),
        f"{written} ({plain['year']}). {plain['title']}. <i>{where}</i>.{link}",
    )
