"""``python -m services.recognizer`` starts the service."""

import sys

from servicekit.server import run
from services.recognizer.wiring import SERVICE

sys.exit(run(SERVICE))
