"""``python -m services.hotlist`` starts the service."""

import sys

from servicekit.server import run
from services.hotlist.wire import SERVICE

sys.exit(run(SERVICE))
