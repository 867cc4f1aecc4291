"""Counts payments by day, fed from the bus by a queue."""
