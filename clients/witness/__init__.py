"""A witness program for outsiders: a newspaper, an auditor, another agency."""
