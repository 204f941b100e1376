"""One concern a file. The order they are applied in stands in ``servicekit.chain``."""
