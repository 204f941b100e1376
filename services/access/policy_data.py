"""Turns the agency's document and the packs into the data that Rego decides with, once for each version.

Rules
-----
1. Objects, never arrays: looking a key up does not depend on how many there are, and a literal set inside of a rule is
   built anew by the in-process engine for every decision.
2. What is the same for every decision of a version is worked out here: sentences, windows, the index of refused words.
3. Of two bounds the stricter one holds: a pack caps what a document keeps, it never lengthens it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from servicekit.words import tokens

DAY_S = 86_400
_NO_LIMIT_S = 10 * 365 * DAY_S
_DEFAULT_ROWS = 200
# What a search may span without a second person, where a document says nothing.
_WIDE = {"days": 31, "cameras": 100, "agencies": 5}
_BUDGETS = {"plates_per_case": 60, "looks_per_plate": 20, "days": 30}
_CASE_STATES = {
    "unknown": "agency.case-unknown",
    "closed": "agency.case-closed",
    "unavailable": "agency.case-registry",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """How long a kind of data is kept in force, and by which word."""

    kind: str
    seconds: int
    basis: str
    clause: str


def prohibited(document: Mapping[str, Any], packs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return use → rule, text and words: those of the packs, and what the document adds to them or of its own."""
    found: dict[str, Any] = {}
    for pack in packs.values():
        for use, entry in pack["prohibited"].items():
            found[use] = {
                "rule": entry["rule"],
                "text": entry["text"],
                "words": list(map(str, entry["words"])),
            }
    for use, entry in document["purposes"]["prohibited"].items():
        held = found.setdefault(use, {"rule": entry["rule"], "text": entry["text"], "words": []})
        held["words"] += [w for w in map(str, entry["words"]) if w not in held["words"]]
    return found


def retention(document: Mapping[str, Any], packs: Mapping[str, Mapping[str, Any]]) -> dict[str, Kept]:
    """Return kind → how long it is kept: the document's word, or the cap of a pack where that is shorter."""
    found = {}
    for kind, entry in document["retention"].items():
        if not isinstance(entry, dict):
            continue
        kept = Kept(kind, seconds(entry), entry["basis"], entry.get("clause", f"retention.{kind}"))
        for cap in caps(document, packs):
            if cap.kind == kind and cap.seconds < kept.seconds:
                kept = cap
        found[kind] = kept
    return found


def caps(document: Mapping[str, Any], packs: Mapping[str, Mapping[str, Any]]) -> Iterator[Kept]:
    """Yield what the packs cap for this agency."""
    for pack in packs.values():
        for cap in pack["caps"]:
            if cap.get("agency_type", document.get("agency_type")) == document.get("agency_type"):
                yield Kept(cap["kind"], seconds(cap), cap["basis"], cap["clause"])


def seconds(entry: Mapping[str, Any]) -> int:
    """Return the seconds of an entry that says ``seconds`` or ``days``."""
    return int(entry["seconds"] if "seconds" in entry else entry["days"] * DAY_S)


def compiled(
    document: Mapping[str, Any], version: str, static: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the data of a version. ``static`` is name → content of the files beside the rules."""
    platform = static["platform"]
    packs = {name: static[name] for name in document["packs"]}
    uses = prohibited(document, packs)
    kept = retention(document, packs)
    offences = document["purposes"]["offences"]
    limits = document.get("limits", {})
    budgets = _BUDGETS | limits.get("budgets", {})
    verify = document["purposes"].get("cases", {})
    data = {
        "version": version,
        "packs": dict.fromkeys(packs, True),
        "pack": {name: _pack(pack) for name, pack in packs.items()},
        "actions": {name: _action(entry) for name, entry in platform["actions"].items()},
        "second_factors": dict.fromkeys(platform["second_factors"], True),
        "offences": {code: _offence(code, entry) for code, entry in offences.items()},
        "prohibited": {use: {"rule": entry["rule"], "text": entry["text"]} for use, entry in uses.items()},
        "terms": {term: use for use, entry in uses.items() for term in map(term_key, entry["words"])},
        "vague": dict.fromkeys([*map(str, platform["vague_words"]), *map(str, document["purposes"]["vague_words"])], True),
        "reason_least": platform["reason_least"],
        "training": document["access"]["training"],
        "job_titles": dict.fromkeys(document["access"]["job_titles"], True),
        "verify_cases": bool(verify.get("verify", False)),
        "same_offence": bool(verify.get("verify", False) and verify.get("same_offence", False)),
        "case_states": _CASE_STATES,
        "wide": _wide(limits),
        "budgets": {"plates_per_case": budgets["plates_per_case"], "looks_per_plate": budgets["looks_per_plate"], "days": budgets["days"]},
        "limits": {side: _limits(limits.get(side, {}), platform["actions"]) for side in ("own", "partner")},
        "windows": _windows(kept, platform["actions"]),
        "sensitive_cameras": dict.fromkeys(document.get("sensitive_cameras", {}), True),
        "kept": {kind: asdict(entry) for kind, entry in kept.items()},
    }  # fmt: skip
    data["clauses"] = _clauses(document, static, uses, data)
    return data


def term_key(text: str) -> str:
    """Return the key of a refused word or phrase: its tokens joined by blanks; a final ``*`` stands for any ending."""
    star = "*" if text.endswith("*") else ""
    return " ".join(tokens(text.removesuffix("*"))) + star


def _action(entry: Mapping[str, Any]) -> dict[str, Any]:
    flags = ("purposeful", "partner", "partner_asks", "unattended")
    return {"roles": dict.fromkeys(entry["roles"], True)} | {flag: True for flag in flags if entry.get(flag)}


def _offence(code: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    title = tokens(f"{code} {entry['title']}")
    return {
        "needs_case": entry["needs_case"],
        "words": dict.fromkeys(title, True),
        "uses": entry.get("uses", {}),
    }


def _pack(pack: Mapping[str, Any]) -> dict[str, Any]:
    return {"kinds": pack["kinds"], "uses": dict.fromkeys(pack.get("uses", ()), True)}


def _wide(limits: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for action, name in (("ACTION_SEARCH", "search"), ("ACTION_CANVASS", "canvass")):
        wide = _WIDE | limits.get("wide", {}).get(name, {})
        found[action] = {
            "window_s": int(wide["days"] * DAY_S),
            "cameras": wide["cameras"],
            "agencies": wide["agencies"],
        }
    return found


def _limits(side: Mapping[str, Any], actions: Mapping[str, Any]) -> dict[str, Any]:
    shown = [name for name, entry in actions.items() if entry.get("purposeful")]
    area = side.get("area")
    return {
        "rows": side.get("rows", _DEFAULT_ROWS),
        "masked": dict.fromkeys(shown, side["masked_fields"]) if side.get("masked_fields") else {},
        "area": dict.fromkeys(shown, area) if area else {},
    }


def _windows(kept: Mapping[str, Kept], actions: Mapping[str, Any]) -> dict[str, int]:
    windows = {"other": kept["read"].seconds}
    for name, entry in actions.items():
        kind = entry.get("kept_as")
        if kind == "held":
            windows[name] = _NO_LIMIT_S
        elif kind is not None:
            windows[name] = kept[kind].seconds
    return windows


def _clauses(
    document: Mapping[str, Any],
    static: Mapping[str, Mapping[str, Any]],
    uses: Mapping[str, Any],
    data: Mapping[str, Any],
) -> dict[str, Any]:
    search = data["wide"]["ACTION_SEARCH"]
    words = {
        "offences": ", ".join(sorted(data["offences"])),
        "training": data["training"],
        "job_titles": ", ".join(sorted(data["job_titles"])),
        "plates_per_case": data["budgets"]["plates_per_case"],
        "looks_per_plate": data["budgets"]["looks_per_plate"],
        "budget_days": data["budgets"]["days"],
        "wide": f"{search['window_s'] // DAY_S} days, {search['cameras']} cameras or {search['agencies']} agencies for a search, "
        f"{data['wide']['ACTION_CANVASS']['window_s'] // DAY_S} days or {data['wide']['ACTION_CANVASS']['cameras']} cameras for a canvass",
    }
    clauses = {
        clause: {"order": entry["order"], "text": entry["text"].format(**words)}
        for name in ("platform", "agency", *document["packs"])
        for clause, entry in static[name]["clauses"].items()
    }
    for entry in uses.values():
        clauses[entry["rule"]] = {
            "order": "05",
            "text": f"{entry['text']} This use is prohibited and refused, whoever asks.",
        }
    return clauses
