"""Injection-recovery test: how many emissions of known strength a model finds, and what a null result excludes."""
