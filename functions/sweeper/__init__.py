"""Looking after what is due, every minute."""
