"""For what the predictions of a model may be used, and what its model card lacks to compare them."""

from __future__ import annotations

from seismag.cards import ModelCard
from seismag.models.registry import detection_skill, skill_text

NO_FORECAST = "no forecast of an earthquake, and not for warnings"


def intended_use(card: ModelCard) -> str:
    """Write in one line for what the predictions of a model may be used, by its data and its evaluation."""
    skill = detection_skill(card.metrics)
    if "simulated" in card.data_origin:
        use = "tests of the software (the model was trained on simulated data)"
    elif card.is_naive:
        use = "nothing (split method naive: the test fold selected the epoch, so no score shows skill)"
    elif card.has_unknown_training:
        use = "nothing (the training data are unknown, so no evaluation is a test)"
    elif skill is None or skill["value"] is None:
        use = "nothing (the model was not evaluated on windows outside its training)"
    elif skill.get("low") is None or float(skill["low"] or 0) <= 0:
        use = f"the study of the model alone (no skill in detection was shown: {skill_text(skill)})"
    else:
        use = f"ranking windows like those of the study, for research (skill in detection {skill_text(skill)})"
    return f"{use}; {NO_FORECAST}"


def reference_missing(card: ModelCard) -> str:
    """State why a model card has no reference distribution, and how to get one."""
    if card.is_naive:
        return "with split method naive the test windows are like those of the training. Train with another split."
    if card.has_unknown_training:
        return "the training data are unknown, so any window may have been in the training. Train a model here."
    return (
        "the model card contains no P(event) of control windows (written by an earlier version, or the model was not "
        "evaluated). Where it was trained, 'seismag train --resume RUN', or the same 'seismag crossval' command, adds "
        "them; then copy the model and its model card again."
    )
