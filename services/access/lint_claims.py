"""What a document says about one thing in several places, and where two of them cannot both be true.

A *claim* is a clause with what it says. Claims come from the seven groups, and from ``statements``: what the agency says
on its page or in its manual besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

LOG_ELEMENTS: Mapping[str, str] = {
    "time": "date and time",
    "query": "plate or other data elements used to query",
    "member": "user name",
    "organisation": "organisation",
    "purpose": "purpose",
}
_YEAR = 365


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction or gap."""

    rule: str
    clauses: tuple[str, ...]
    message: str
    refused: bool = False


def group(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a group of a document; empty when it is missing or no mapping."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statements that are mappings."""
    value = document.get("statements")
    return [s for s in value if isinstance(s, dict)] if isinstance(value, list) else []


def said(document: Mapping[str, Any], key: str) -> list[tuple[str, Any, str]]:
    """Return (clause, value, text) of every statement that says something about a key."""
    return [
        (str(s.get("clause", "statements")), s[key], str(s.get("text", "")))
        for s in statements(document)
        if key in s
    ]


def clause_of(document: Mapping[str, Any], name: str) -> str:
    """Return the clause that a group stands for."""
    return str(group(document, name).get("clause", name))


def days_of(entry: Any) -> float | None:
    """Return the days of a retention entry, or None."""
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("days"), int | float):
        return float(entry["days"])
    return entry["seconds"] / 86_400 if isinstance(entry.get("seconds"), int | float) else None


def _bounds(document: Mapping[str, Any]) -> Iterator[tuple[str, str, float, float, str]]:
    """Yield (clause, kind, least, most, in words) of everything that is said about retention."""
    for kind, entry in group(document, "retention").items():
        days = days_of(entry)
        if days is not None:
            yield str(entry.get("clause", f"retention.{kind}")), kind, days, days, f"{_span(days)}"
    for clause, value, _ in said(document, "retention"):
        if not isinstance(value, dict):
            continue
        exactly = value.get("exactly_days")
        least, most = value.get("least_days", exactly), value.get("most_days", exactly)
        words = [f"at least {_span(least)}" if least is not None and least != most else "",
                 f"at most {_span(most)}" if most is not None and least != most else "", _span(exactly) if exactly else ""]  # fmt: skip
        yield (
            clause,
            value.get("kind", "read"),
            least or 0.0,
            float("inf") if most is None else most,
            " and ".join(w for w in words if w),
        )


def _span(days: float) -> str:
    if days >= _YEAR and days % _YEAR == 0:
        return f"{days / _YEAR:g} year" + ("s" if days > _YEAR else "")
    return f"{days:g} days" if days >= 1 else f"{days * 1440:g} minutes"


def retention_contradicts(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Two clauses that no span satisfies."""
    for one, other in combinations(_bounds(document), 2):
        if one[1] == other[1] and (one[2] > other[3] or other[2] > one[3]):
            yield Finding(
                "retention-contradicts",
                (one[0], other[0]),
                f"{one[0]} keeps a {one[1]} {one[4]}, {other[0]} keeps it {other[4]}: no span satisfies both; decide for one, "
                "with its legal basis, and change the other",
                refused=True,
            )


def verification_contradicts(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A hit must be verified, or only if practicable."""
    found = [(c, v) for c, v, _ in said(document, "verification")]
    if (duty := group(document, "accuracy").get("verification")) is not None:
        found.append((clause_of(document, "accuracy"), duty))
    for (one, strict), (other, weak) in ((a, b) for a in found for b in found):
        if strict == "required" and weak in {"if-practicable", "none"}:
            yield Finding(
                "verification-contradicts",
                (one, other),
                f"{one} requires that a person verifies a hit before anything is done, {other} asks for it only "
                f"{'if practicable' if weak == 'if-practicable' else 'not at all'}: require it in both; the platform allows no action on an unverified hit",
                refused=True,
            )


def log_too_thin(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A log that holds less than the statute asks for."""
    found = [(c, v) for c, v, _ in said(document, "log_elements")]
    if (own := group(document, "monitoring").get("log_elements")) is not None:
        found.append((clause_of(document, "monitoring"), own))
    for clause, held in found:
        missing = [what for key, what in LOG_ELEMENTS.items() if isinstance(held, list) and key not in held]
        if missing:
            yield Finding(
                "log-too-thin",
                (clause, "Civil Code 1798.90.52(a)"),
                f"{clause} records less than Civil Code 1798.90.52(a) asks for: {', '.join(missing)} {'are' if len(missing) > 1 else 'is'} "
                "missing; name all of time, query elements, user, organisation and purpose (the platform records them)",
                refused=True,
            )


def sharing_contradicts(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Standing access beside approval of each request, and nothing that says which holds when."""
    if {"agreement", "release-request"} <= set(group(document, "sharing").get("mechanisms", ())):
        return
    found = [(c, v) for c, v, _ in said(document, "sharing") if isinstance(v, list)]
    for (one, standing), (other, asked) in ((a, b) for a in found for b in found):
        if "standing" in standing and "per-request" in asked and one != other:
            yield Finding(
                "sharing-contradicts",
                (one, other),
                f"{one} shares standing, {other} has each release requested in writing and approved before it is fulfilled: these are two "
                "mechanisms; say in sharing.mechanisms that partners see under an approved, expiring agreement, and that all else is a release request",
                refused=True,
            )


def audit_contradicts(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A number of days beside "regularly", or two different numbers."""
    found = [(c, v) for c, v, _ in said(document, "audit")]
    if (days := group(document, "monitoring").get("audit_every_days")) is not None:
        found.append((clause_of(document, "monitoring"), days))
    for (one, first), (other, second) in combinations(dict.fromkeys(found), 2):
        if first != second:
            words = [f"every {v} days" if isinstance(v, int) else "without a date" for v in (first, second)]
            yield Finding(
                "audit-contradicts",
                (one, other),
                f"{one} audits {words[0]}, {other} audits {words[1]}: write the number of days in both",
                refused=isinstance(first, int) and isinstance(second, int),
            )


def factors_contradict(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A second factor here, a password there."""
    found = said(document, "factors")
    for (one, first, _), (other, second, _) in combinations(found, 2):
        if first != second:
            weak = one if first < second else other
            yield Finding(
                "factors-contradict",
                (one, other),
                f"{weak} asks for a password only, the other for a second factor: write the second factor into {weak}; the platform gives nothing without one",
            )
    for clause, factors, _ in found:
        if factors < 2 and len({f for _, f, _ in found}) == 1:
            yield Finding(
                "factors-contradict",
                (clause, "platform.mfa-required"),
                f"{clause} asks for one factor; the platform asks for two",
            )


def case_number_loose(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A case number "when applicable" beside a catalogue that needs one, or beside none."""
    for clause, duty, _ in said(document, "case_number"):
        if duty == "when-applicable":
            offences = group(document, "purposes").get("offences", {})
            strict = (
                sorted(code for code, o in offences.items() if isinstance(o, dict) and o.get("needs_case"))
                if isinstance(offences, dict)
                else []
            )
            yield Finding(
                "case-number-loose",
                (clause, "purposes.offences"),
                f"{clause} asks for a case or event number when applicable, which nobody can check: "
                + (
                    f"the catalogue needs one for {', '.join(strict)}; say so"
                    if strict
                    else "say for which offences (needs_case)"
                ),
            )


def prohibited_contradicts(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A use that one clause prohibits and another allows or leaves out."""
    uses = group(document, "purposes")
    listed = uses.get("prohibited") if isinstance(uses.get("prohibited"), dict) else {}
    offences = uses.get("offences") if isinstance(uses.get("offences"), dict) else {}
    assert isinstance(listed, dict)
    assert isinstance(offences, dict)
    for use in listed:
        if use in offences:
            yield Finding(
                "use-contradicts",
                (f"purposes.prohibited.{use}", f"purposes.offences.{use}"),
                f"{use} is prohibited and listed as a purpose: take it out of one",
                refused=True,
            )
    for clause, prohibits, _ in said(document, "prohibits"):
        packs = set(document.get("packs") or ())
        for use in prohibits if isinstance(prohibits, list) else ():
            if use not in listed and not (
                "ca" in packs and use in {"immigration-enforcement", "reproductive-care"}
            ):
                yield Finding(
                    "use-not-enforced",
                    (clause, "purposes.prohibited"),
                    f"{clause} prohibits {use}, and nothing refuses it: add it to purposes.prohibited with its words",
                    refused=True,
                )
    for clause, allows, _ in said(document, "allows"):
        for use in allows if isinstance(allows, list) else ():
            yield Finding(
                "use-contradicts",
                (clause, clause_of(document, "purposes")),
                f"{clause} allows {use}, which is wider than the published purposes: strike it, or list it as an offence",
            )


def custodian_promised(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A custodian that is promised, and not named."""
    for clause, state, _ in said(document, "custodian"):
        if state == "promised" and not group(document, "custodian").get("title"):
            yield Finding(
                "custodian-not-named",
                (clause, "Civil Code 1798.90.51(b)(2)(E)"),
                f"{clause} promises the title of the official custodian and nobody names it: fill in custodian.title and custodian.designee",
                refused=True,
            )


CLAIM_CHECKS = (
    retention_contradicts, verification_contradicts, log_too_thin, sharing_contradicts, audit_contradicts, factors_contradict,
    case_number_loose, prohibited_contradicts, custodian_promised,
)  # fmt: skip
