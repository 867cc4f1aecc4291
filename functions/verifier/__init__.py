"""Compares the journal with everything that is derived from it."""
