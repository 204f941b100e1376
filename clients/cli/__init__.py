"""``plateward``: the command line of the platform."""
