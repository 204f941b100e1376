"""``python -m clients.cli`` is ``plateward``."""

from clients.cli.main import run

run()
