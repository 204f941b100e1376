"""``python -m services.reads`` starts the service."""

import sys

from servicekit.server import run
from services.reads.wire import SERVICE

sys.exit(run(SERVICE))
