"""The windows of one UTC day at all stations, combined to one event probability, and what several stations add."""
