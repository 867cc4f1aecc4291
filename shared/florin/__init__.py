"""Florin's layer: `domain` thinks, `ports` name the world, the rest meets it."""
