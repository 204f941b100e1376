"""``python -m services.hotlist`` starts the service."""

import sys

from servicekit.server import run
from services.hotlist.wiring import SERVICE

sys.exit(run(SERVICE))
