"""Transparency log, pure: RFC 6962 hashing, C2SP tiles, notes, checkpoints, proofs, offline verifier."""
