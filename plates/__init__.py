"""Plate text, pure: normal form, states, look-alike characters, neighbours, search patterns, explanations."""
