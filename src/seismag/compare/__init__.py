"""Several models in identical folds: paired differences of their scores, and what each costs."""
