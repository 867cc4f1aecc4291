"""Reads the stream of events and puts the public ones on the bus."""
