"""Clients of data services."""
