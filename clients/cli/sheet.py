"""The contact sheet: one HTML file, pictures inside, that shows every error of a folder at a glance."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import numpy as np

from clients.cli.scoring import Fault
from services.recognizer.results import BoxXYWH, Image

_PLATE_SIZE, _FRAME_WIDTH = (280, 112), 420
_GREY = 235
_KINDS = ("misread", "unreadable", "missed", "false read")
_TEMPLATE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Errors of {{ folder }}</title>
<style>
  body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; color: #1c2430; background: #fff }
  h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; text-transform: capitalize }
  .of { color: #5a6675; margin: .2rem 0 1rem } .measures { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0 }
  .measures li { list-style: none; background: #eef2f6; border-radius: .5rem; padding: .5rem .9rem } .measures b { display: block; font-size: 1.3rem }
  .sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem }
  figure { margin: 0; border: 1px solid #d5dce4; border-radius: .5rem; overflow: hidden } figure img { display: block; width: 100% }
  figcaption { padding: .5rem .7rem } code { font: 600 1.05rem ui-monospace, monospace; letter-spacing: .06em }
  mark { background: #ffd6d1; color: #a01708 } .small { color: #5a6675; font-size: .85rem; overflow-wrap: anywhere }
</style>
<h1>Errors of {{ folder }}</h1>
<p class="of">{{ score.images }} pictures with {{ score.plates }} labelled plates, models {{ version }}; a text is given from confidence
{{ "%.2f"|format(operating_point) }} on. Letters that differ are marked; O counts as 0 and I as 1.</p>
<ul class="measures">{% for name, value in measures %}<li><b>{{ "%.3f"|format(value) }}</b>{{ name }}</li>{% endfor %}</ul>
{% if score.unread %}<p class="of">Could not be opened: {{ score.unread|join(", ") }}</p>{% endif %}
{% if not groups %}<p>Nothing to show: every plate was read right, and nothing else was read.</p>{% endif %}
{% for kind, cards in groups %}<h2>{{ kind }} ({{ cards|length }})</h2>
<div class="sheet">{% for card in cards %}<figure>
  <img alt="plate" src="data:image/jpeg;base64,{{ card.plate }}"><img alt="picture" loading="lazy" src="data:image/jpeg;base64,{{ card.frame }}">
  <figcaption>{% if card.truth %}<code>{{ card.truth }}</code> is there<br>{% endif %}
  {% if card.read %}<code>{% for c, wrong in card.read %}{% if wrong %}<mark>{{ c }}</mark>{% else %}{{ c }}{% endif %}{% endfor %}</code>
  was read, confidence {{ "%.2f"|format(card.confidence) }}<br>{% endif %}
  {% if card.others %}<span class="small">also {{ card.others }}</span><br>{% endif %}
  <span class="small">{{ card.image }}{% if card.height %}, plate {{ card.height }} px high{% endif %}</span></figcaption>
</figure>{% endfor %}</div>{% endfor %}
</html>
"""


@dataclass(frozen=True, slots=True)
class Card:
    """An error with its pictures (JPEG, base64)."""

    kind: str
    image: str
    truth: str
    read: tuple[tuple[str, bool], ...]
    confidence: float
    others: str
    height: int
    plate: str
    frame: str


def card(name: str, image: Image, fault: Fault) -> Card:
    """Return the card of an error; `image` is its picture (height, width, 3) BGR."""
    label, plate = fault.label, fault.plate
    box = plate.box if plate is not None else label.box if label is not None else None
    truth = label.text if label is not None else ""
    text = plate.text if plate is not None else ""
    return Card(
        kind=fault.kind,
        image=name,
        truth=truth,
        read=tuple(compared(text, truth)),
        confidence=plate.confidence if plate is not None else 0.0,
        others=", ".join(t for t, _ in plate.candidates[1:4]) if plate is not None else "",
        height=round(box[3]) if box is not None else 0,
        plate=_jpeg(_fitted(_cut(image, box), _PLATE_SIZE)),
        frame=_jpeg(_framed(image, box)),
    )


def compared(read: str, truth: str) -> list[tuple[str, bool]]:
    """Return each character of a read, and whether it is none of the truth in that order (longest common part)."""
    from difflib import SequenceMatcher

    fold = str.maketrans("OI", "01")
    same = SequenceMatcher(None, read.translate(fold), truth.translate(fold), autojunk=False)
    right = {m.a + k for m in same.get_matching_blocks() for k in range(m.size)}
    return [(c, bool(truth) and i not in right) for i, c in enumerate(read)]


def write(
    target: Path,
    cards: Sequence[Card],
    score: object,
    measures: Mapping[str, float],
    *,
    folder: str,
    version: str,
    operating_point: float,
) -> None:
    """Write the sheet.

    Raises:
        OSError: it cannot be written there.
    """
    count = Counter(c.kind for c in cards)
    groups = [(kind, [c for c in cards if c.kind == kind]) for kind in _KINDS if count[kind]]
    page = jinja2.Environment(autoescape=True).from_string(_TEMPLATE)
    target.parent.mkdir(parents=True, exist_ok=True)
    html = page.render(
        groups=groups,
        score=score,
        measures=list(measures.items()),
        folder=folder,
        version=version,
        operating_point=operating_point,
    )
    target.write_text(html, encoding="utf-8")


def _cut(image: Image, box: BoxXYWH | None) -> Image:
    """The plate with a rim of half its height; the whole picture where its place is unknown."""
    if box is None:
        return image
    rows, columns = image.shape[:2]
    x, y, w, h = box
    rim = h / 2
    left, top = int(max(0, min(x - rim, columns - 2))), int(max(0, min(y - rim, rows - 2)))
    right, bottom = int(min(columns, max(x + w + rim, left + 2))), int(min(rows, max(y + h + rim, top + 2)))
    return image[top:bottom, left:right]


def _fitted(image: Image, size: tuple[int, int]) -> Image:
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    shape = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    ground = np.full((size[1], size[0], 3), _GREY, np.uint8)
    x, y = (size[0] - shape[0]) // 2, (size[1] - shape[1]) // 2
    ground[y : y + shape[1], x : x + shape[0]] = small
    return ground


def _framed(image: Image, box: BoxXYWH | None) -> Image:
    scale = min(1.0, _FRAME_WIDTH / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if box is not None:
        x, y, w, h = (round(v * scale) for v in box)
        cv2.rectangle(small, (x - 3, y - 3), (x + w + 3, y + h + 3), (40, 40, 230), 2, cv2.LINE_AA)
    return np.asarray(small, np.uint8)


def _jpeg(image: Image) -> str:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return base64.b64encode(data.tobytes()).decode("ascii")
