"""All tests of metadata of one table: each family of columns, what they add to the station, and pairs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seismag.audit.checks.class_by import Feature, Labelled, check_class_by, check_skill_above_station
from seismag.audit.checks.derived_columns import pair_features
from seismag.estimate import CONCERN_P, CheckResult


def check_metadata(features: Sequence[Feature], data: Labelled) -> Iterator[CheckResult]:
    """``class_by_<family>`` for each family, ``skill_above_station``, and ``class_by_pairs``.

    A pair is tested of columns that do not predict the class alone, so that a family that does is named once.
    """
    families: dict[str, list[Feature]] = {}
    for feature in features:
        families.setdefault(feature.family, []).append(feature)
    alone: set[str] = set()
    for family, members in families.items():
        result = check_class_by(f"class_by_{family}", members, data)
        if result.p_value is not None and result.p_value <= CONCERN_P:
            alone.add(family)
        yield result
    others = [feature for feature in features if feature.blocking and feature.family != "station"]
    if others and "station" in families:
        yield check_skill_above_station(families["station"][0], others, data)
    pairs = pair_features([feature for feature in features if feature.family not in alone])
    if pairs:
        yield check_class_by("class_by_pairs", pairs, data, combined=False)
