"""A payment provider to test with: HTTP in front, books of its own behind, a token per story."""
