"""Reads the stream of events and keeps everything derived from them up to date."""
