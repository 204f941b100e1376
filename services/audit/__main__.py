"""``python -m services.audit`` starts the service."""

import sys

from servicekit.server import run
from services.audit.wiring import SERVICE

sys.exit(run(SERVICE))
