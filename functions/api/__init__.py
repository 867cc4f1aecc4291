"""The HTTP API: a module for each resource, a table of routes, one handler."""
