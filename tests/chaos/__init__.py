"""The chaos suite: every flow of the engine, broken at every point where it can break."""
