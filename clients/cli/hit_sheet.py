"""The comparison sheet of a hit: the picture beside the entry, character by character, on one page that needs no network."""

from __future__ import annotations

import base64
from datetime import UTC

from jinja2 import Environment

from plateward.common.v1 import recognition_pb2
from plateward.hotlist.v1 import hit_pb2

_PAGE = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Hit {{ hit.hit_id }}</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}
.standing{padding:.6rem 1rem;font-weight:700;color:#fff;background:{{ "#14532d" if verified else "#991b1b" }}}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #999;padding:.4rem .7rem;text-align:left}
.plate td{font:700 1.8rem ui-monospace,monospace;text-align:center}
.lookalike{background:#fde68a}.different,.missing{background:#fecaca}img{max-width:100%;min-width:20rem;image-rendering:auto}
</style>
<p class="standing">{{ "VERIFIED BY A PERSON" if verified else "UNVERIFIED: nothing may be done on this hit before a person has compared and checked" }}
 ({{ state }}); {{ most }} at most</p>
{% for demotion in hit.demotions %}<p><strong>Lowered:</strong> {{ demotion }}</p>{% endfor %}
{% if picture %}<img alt="Plate as the camera saw it" src="data:image/jpeg;base64,{{ picture }}">
{% else %}<p><strong>No picture.</strong> It has expired or was not granted: without it the comparison cannot be made.</p>{% endif %}
{% if vehicle %}<img alt="Vehicle as the camera saw it, glass masked" src="data:image/jpeg;base64,{{ vehicle }}">{% endif %}
<table class="plate"><tr><th scope="row">read</th>{% for c in characters %}<td class="{{ c.match }}">{{ c.read or "-" }}</td>{% endfor %}</tr>
<tr><th scope="row">entry</th>{% for c in characters %}<td class="{{ c.match }}">{{ c.entry or "-" }}</td>{% endfor %}</tr>
<tr><th scope="row">sure</th>{% for c in characters %}<td style="font-size:.9rem">{{ c.sure }}</td>{% endfor %}</tr></table>
{% for c in characters if c.match != "same" %}<p>Character {{ loop.index }} that differs: read {{ c.read or "nothing" }}, entry
 {{ c.entry or "nothing" }} ({{ c.match }}, the reader was {{ c.sure }} sure).</p>{% endfor %}
<table><tr><th></th><th>seen</th><th>entry</th></tr>
{% for name, seen, wanted in properties %}<tr><th scope="row">{{ name }}</th><td>{{ seen }}</td><td>{{ wanted }}</td></tr>{% endfor %}</table>
<p>List {{ hit.entry.list_id }} of {{ hit.entry.agency_id }}, {{ age }} old when the hit was raised. Wanted for {{ hit.entry.category }}:
 {{ hit.entry.reason }} {{ hit.entry.case_number }}{% if hit.entry.ori %}; entered by {{ hit.entry.ori }}{% endif %}\
{% if hit.entry.nic %}, record {{ hit.entry.nic }}{% endif %}</p>
<p>Hit {{ hit.hit_id }}, camera {{ hit.read.camera_id }}, {{ seen_at }}; match: {{ hit.match_kind }}.</p></html>
""")
_VERIFIED = (hit_pb2.HIT_STATE_CONFIRMED, hit_pb2.HIT_STATE_ACTED, hit_pb2.HIT_STATE_CLOSED)


def sheet(hit: hit_pb2.Hit, jpeg: bytes, vehicle: bytes = b"") -> str:
    """Return the page of a hit, as HTML; without a JPEG it says that the comparison cannot be made."""
    read, entry = hit.read, hit.entry
    characters = [
        {
            "read": c.read,
            "entry": c.entry,
            "match": hit_pb2.CharacterMatch.Name(c.match).removeprefix("CHARACTER_MATCH_").lower(),
            "sure": f"{c.confidence:.0%}" if c.read else "-",
        }
        for c in hit.explanation
    ]
    return _PAGE.render(
        hit=hit,
        verified=hit.state in _VERIFIED,
        state=hit_pb2.HitState.Name(hit.state).removeprefix("HIT_STATE_").lower(),
        most=hit_pb2.MaxAction.Name(hit.max_action).removeprefix("MAX_ACTION_").lower(),
        picture=base64.b64encode(jpeg).decode() if jpeg else "",
        vehicle=base64.b64encode(vehicle).decode() if vehicle else "",
        characters=characters,
        properties=[
            (
                "issuing state",
                f"{read.plate.state or 'not read'} ({read.plate.state_confidence:.0%})",
                entry.state or "not named",
            ),
            ("vehicle", _kind(read.vehicle.type), _kind(entry.vehicle_type)),
            ("colour", read.vehicle.colour or "not seen", entry.colour or "not named"),
            (
                "make and model",
                "look at the picture",
                " ".join(p for p in (entry.make, entry.model, entry.vehicle_style) if p) or "not named",
            ),
            ("year", "look at the picture", entry.model_year or "not named"),
            ("VIN", "at the vehicle", entry.vin or "not named"),
        ],
        age="0 h" if not hit.list_age_s else f"{hit.list_age_s / 3600:.1f} h",
        seen_at=f"{read.seen_at.ToDatetime(UTC):%Y-%m-%d %H:%M:%S} UTC",
    )


def _kind(value: recognition_pb2.VehicleType.ValueType) -> str:
    name = recognition_pb2.VehicleType.Name(value).removeprefix("VEHICLE_TYPE_").lower()
    return "not known" if name == "unspecified" else name
