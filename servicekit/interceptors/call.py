"""What the concerns share about one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from google.protobuf.message import Message

from servicekit.context import CallContext
from servicekit.methods import Method


@dataclass(slots=True)
class Call:
    """A call on its way through the concerns."""

    method: Method
    rpc: Any
    context: CallContext
    begun: float = field(default_factory=monotonic)
    request: Message | None = None
    attempted: bool = False
    heard: int = 0

    @property
    def took_ms(self) -> int:
        """Milliseconds since the call arrived."""
        return int((monotonic() - self.begun) * 1000)
