"""Looking up calls that a provider left without an answer."""
