"""``reads``: ingest, commit-order following, search and crops of what cameras saw. See README.md."""
