"""Model, losses, training loop, cross-validation and inference."""
