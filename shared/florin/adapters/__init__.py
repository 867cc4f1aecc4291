"""The ports' implementations: AWS, providers, and a real in-memory twin of each."""
