"""Models at rest: registry, fetching, and predictions for files and stores."""
