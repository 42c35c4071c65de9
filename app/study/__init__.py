"""A study's way from the inbox to its results: assembly, states, records and the durable workflow."""
