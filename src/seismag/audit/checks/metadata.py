"""All tests of metadata of one table: each family of columns, what they add to the station, and pairs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seismag.audit.checks.class_by import Feature, Labelled, check_class_by, check_skill_above_station
from seismag.audit.checks.derived_columns import pair_features
from seismag.estimate import CheckResult

BESIDE_STATION = ("era", "hour", "space_weather", "source", "quality")  # families that are combined with the station


def check_metadata(features: Sequence[Feature], data: Labelled) -> Iterator[CheckResult]:
    """``class_by_<family>`` for each family, ``skill_above_station``, and ``class_by_pairs``."""
    families: dict[str, list[Feature]] = {}
    for feature in features:
        families.setdefault(feature.family, []).append(feature)
    for family, members in families.items():
        yield check_class_by(f"class_by_{family}", members, data)
    others = [feature for feature in features if feature.blocking and feature.family in BESIDE_STATION]
    if others and "station" in families:
        yield check_skill_above_station(families["station"][0], others, data)
    pairs = pair_features(features)
    if pairs:
        yield check_class_by("class_by_pairs", pairs, data, combined=False)
