"""``python -m services.access`` starts the service."""

import sys

from servicekit.server import run
from services.access.wiring import SERVICE

sys.exit(run(SERVICE))
