"""Numbers of recorded results as text."""

from __future__ import annotations

from typing import Any


def number(value: Any) -> str:
    """Write a number of the JSON with three significant digits; whole numbers as they are."""
    if value is None:
        return "undefined"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return str(value) if isinstance(value, int) or abs(value) >= 1000 else f"{value:.3g}"


def interval(entry: dict[str, Any]) -> str:
    """Write a score with its interval, where it has one."""
    if entry.get("low") is None or entry.get("high") is None:
        return f"{number(entry.get('value'))} (no interval)"
    return f"{number(entry['value'])} [{number(entry['low'])}, {number(entry['high'])}]"
