"""Requests to break services with: populated at random from their descriptors, then mutated as bytes. Seeded."""

from __future__ import annotations

import random
from collections.abc import Callable

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

WORDS = ["8ABC123", "m-1042", "elk-grove-pd", "cam-laguna-1", "vehicle-theft", "26-004312", "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa",
         "stolen from Laguna Blvd at night", "' OR 1=1 --", "{{7*7}}", "../../etc/passwd", "\x00", "é" * 20, "*", "?" * 30, ""]  # fmt: skip
MOST_DEPTH = 4


def plausible(message: Message, rng: random.Random) -> None:
    """Give a request the purpose and the window that let it past policy and validation, so that handlers are reached."""
    fields = message.DESCRIPTOR.fields_by_name
    if "purpose" in fields and rng.random() < 0.8:
        message.purpose.Clear()
        message.purpose.offence, message.purpose.case_number = "vehicle-theft", "26-004312"
        message.purpose.reason, message.purpose.onward_use_attested = (
            "silver Accord taken from Laguna Blvd",
            True,
        )
    if "window" in fields and rng.random() < 0.8:
        message.window.Clear()
        message.window.end.GetCurrentTime()
        message.window.start.seconds = message.window.end.seconds - 86_400
    if "owner_agency_ids" in fields and rng.random() < 0.8:
        del message.owner_agency_ids[:]
        message.owner_agency_ids.append("elk-grove-pd")


def populate(message: Message, rng: random.Random, depth: int = 0) -> Message:
    """Fill a message with values that are partly valid; return it."""
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.25:
            continue
        _fill(message, field, rng, depth)
    return message


def _fill(message: Message, field: FieldDescriptor, rng: random.Random, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return
    if field.message_type is not None:
        if depth >= MOST_DEPTH:
            return
        if field.is_repeated:
            for _ in range(rng.randint(1, 3)):
                populate(getattr(message, field.name).add(), rng, depth + 1)
        else:
            child = getattr(message, field.name)
            child.SetInParent()
            populate(child, rng, depth + 1)
        return
    values = [_scalar(field, rng) for _ in range(rng.randint(1, 3) if field.is_repeated else 1)]
    try:
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, values[0])
    except (ValueError, TypeError, UnicodeEncodeError):
        return


def _scalar(field: FieldDescriptor, rng: random.Random) -> object:
    kinds = FieldDescriptor
    if field.cpp_type == kinds.CPPTYPE_STRING:
        return (
            rng.randbytes(rng.choice([0, 1, 32, 500]))
            if field.type == kinds.TYPE_BYTES
            else rng.choice(WORDS)
        )
    if field.cpp_type == kinds.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type == kinds.CPPTYPE_ENUM:
        return rng.choice([v.number for v in field.enum_type.values] + [99])
    if field.cpp_type in (kinds.CPPTYPE_DOUBLE, kinds.CPPTYPE_FLOAT):
        return rng.choice([0.0, 0.5, 1.0, -1.0, 1e30, float("nan"), float("inf")])
    most = {
        kinds.CPPTYPE_INT32: 2**31 - 1,
        kinds.CPPTYPE_UINT32: 2**32 - 1,
        kinds.CPPTYPE_INT64: 2**63 - 1,
    }.get(field.cpp_type, 2**64 - 1)
    return rng.choice([0, 1, 7, 1_764_000_000 % most, most])


def _flip(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data or b"\x00")
    for _ in range(rng.randint(1, 8)):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _huge(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice([70_000, 300_000])
    length = bytearray()
    rest = size
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    length.append(rest)
    return data + bytes([rng.randint(1, 15) << 3 | 2]) + bytes(length) + rng.randbytes(1) * size


def _bad_utf8(data: bytes, rng: random.Random) -> bytes:
    return data + bytes([rng.randint(1, 15) << 3 | 2, 4]) + b"\xff\xfe\xc3\x28"


def _wrong_type(data: bytes, rng: random.Random) -> bytes:
    return bytes([rng.randint(1, 15) << 3 | rng.choice([0, 1, 3, 4, 5, 6, 7])]) + rng.randbytes(6) + data


def _noise(data: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randint(0, 200))


def _not_an_image(data: bytes, rng: random.Random) -> bytes:
    head = rng.choice(
        [
            b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\x10\x00\x00\x00WEBP",
            b"GIF89a",
            b"BM",
            b"%PDF-1.7",
        ]
    )
    body = head + rng.randbytes(rng.randint(0, 60))
    return bytes([rng.choice([1, 4]) << 3 | 2, len(body)]) + body + data


def _as_is(data: bytes, rng: random.Random) -> bytes:
    return data


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _truncate, _huge, _bad_utf8, _wrong_type, _noise, _not_an_image, _as_is,
)  # fmt: skip


def mutated(message: Message, rng: random.Random) -> bytes:
    """Return the bytes of a populated message after one mutation."""
    populate(message, rng)
    plausible(message, rng)
    return rng.choice(MUTATIONS)(message.SerializePartialToString(), rng)
