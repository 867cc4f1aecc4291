"""Where the engine meets Lambda and HTTP: parsing, replies, wiring."""
