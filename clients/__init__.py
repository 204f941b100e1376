"""Programs that call the services over gRPC like any outsider."""

import os

# gRPC's C core would otherwise take locks of its own around every fork, and a fork that meets a channel's end hangs for ever.
# Children here exec at once and need nothing of it. Read when gRPC starts, so it is set before anything imports gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
