"""Predictions of a stored model, under the file name of earlier systems."""

from seismag.models.predict import predict_recording
from seismag.training.checkpoint import LoadedModel, load_checkpoint
from seismag.training.inference import predict_power, predict_store, predict_with_embeddings

__all__ = [
    "LoadedModel", "load_checkpoint", "predict_power", "predict_recording", "predict_store", "predict_with_embeddings",
]  # fmt: skip
