"""Who is asking: from the API key of a request to its tenant."""
