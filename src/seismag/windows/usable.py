"""Which windows of a day have enough data: the limits of missing and of masked time."""

from __future__ import annotations

from seismag.config import DataConfig


def unusable_windows(verdict: dict[str, object], spec: DataConfig) -> list[str]:
    """Return for each window of a day the reason why it cannot be used ("" where it can)."""
    if verdict["verdict"] == "refused":
        return [str(verdict["detail"])] * (24 // spec.window_h)
    fractions = zip(verdict["gap_fraction"], verdict["masked_fraction"], strict=True)  # type: ignore[call-overload]
    return [window_reason(gaps, masked, spec)[1] for gaps, masked in fractions]


def window_reason(gap_fraction: float, masked_fraction: float, spec: DataConfig) -> tuple[str, str]:
    """Return a word and a sentence on why a window has too little data; both empty where it has enough."""
    if gap_fraction > spec.max_gap_fraction:
        return (
            "gaps",
            f"{gap_fraction:.1%} of its seconds missing, limit {spec.max_gap_fraction:.0%} (data.max_gap_fraction)",
        )
    if masked_fraction > spec.max_masked_fraction:
        return "masked", (
            f"{masked_fraction:.1%} of its time frames touched by a gap, a jump or a stuck value, "
            f"limit {spec.max_masked_fraction:.0%} (data.max_masked_fraction)"
        )
    return "", ""
