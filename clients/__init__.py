"""Programs that call the services over gRPC like any outsider."""
