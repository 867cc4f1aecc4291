"""The walk over all events, a part of it every hour."""
