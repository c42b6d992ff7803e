"""Which parts of a spectrogram a model uses: Grad-CAM, occlusion, importance of bands, and tests of the maps."""
