"""What several tests need: examples, a scripted provider, tables made from the template."""
