"""Stored models: registry, fetching, architecture, cost, and predictions for recordings and stores."""
