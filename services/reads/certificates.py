"""Certificates of destruction of reads and pictures; what stands in one and how it is signed is shared with hits."""

from servicekit.certificates import HEADING, CertificateStore, event_change, sign, statement, window

__all__ = ["HEADING", "CertificateStore", "event_change", "sign", "statement", "window"]
