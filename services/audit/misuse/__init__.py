"""Misuse detectors: they read looks in the order in which they happened and say what a person should look into."""
