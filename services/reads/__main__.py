"""``python -m services.reads`` starts the service."""

import sys

from servicekit.server import run
from services.reads.wiring import SERVICE

sys.exit(run(SERVICE))
