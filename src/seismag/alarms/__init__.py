"""Predictions as alarms: the Molchan diagram, its power, and what chance gives."""
