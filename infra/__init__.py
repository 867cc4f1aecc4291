"""Everything around the engine: builds, the local stack, seeds and checks."""
