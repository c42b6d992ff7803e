"""Studies: they run learning and judge it by evaluation."""
