"""Where a document asks for what the law of its packs does not allow, or says more than the platform can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from servicekit.words import terms
from services.access.lint_claims import Finding, clause_of, days_of, group, statements
from services.access.policy import static_data
from services.access.policy_data import caps, term_key

_LONGEST_TRAINING_DAYS = 366
_LONGEST_AUDIT_DAYS = 92


def _packs(document: Mapping[str, Any]) -> dict[str, Any]:
    static, wanted = static_data(), document.get("packs")
    return (
        {name: static[name] for name in wanted if name in static and "kinds" in static[name]}
        if isinstance(wanted, list)
        else {}
    )


def retention_over_cap(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Kept longer than a pack allows."""
    for cap in caps(document, _packs(document)):
        entry = group(document, "retention").get(cap.kind)
        days = days_of(entry)
        if isinstance(entry, dict) and days is not None and days * 86_400 > cap.seconds:
            clause = str(entry.get("clause", f"retention.{cap.kind}"))
            yield Finding(
                "retention-over-cap",
                (clause, cap.clause),
                f"{clause} keeps a {cap.kind} {days:g} days, {cap.clause} allows {cap.seconds / 86_400:g} days at most ({cap.basis}): shorten it",
                refused=True,
            )


def crop_outlives_read(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A picture that is kept longer than what it belongs to."""
    kept = {kind: days_of(group(document, "retention").get(kind)) for kind in ("read", "crop", "hit")}
    read, crop, hit = kept["read"], kept["crop"], kept["hit"]
    if read is not None and crop is not None and crop > read:
        yield Finding(
            "crop-outlives-read",
            ("retention.crop", "retention.read"),
            "pictures are kept longer than the reads they belong to: keep them as long at most",
            refused=True,
        )
    if read is not None and hit is not None and hit < read:
        yield Finding(
            "hit-shorter-than-read",
            ("retention.hit", "retention.read"),
            "hits are kept shorter than reads: a hit would vanish while its read is still there",
        )


def basis_missing(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A retention without a law or a policy that it rests on."""
    for kind, entry in group(document, "retention").items():
        if isinstance(entry, dict) and not str(entry.get("basis", "")).strip():
            yield Finding(
                "basis-missing",
                (f"retention.{kind}",),
                f"retention.{kind} names no legal basis: write the statute or the clause it rests on",
                refused=True,
            )


def pack_of_state(document: Mapping[str, Any]) -> Iterator[Finding]:
    """An agency of a state without that state's pack, or under another state's."""
    state, packs = document.get("state"), _packs(document)
    for name, pack in static_data().items():
        if "kinds" in pack and state in pack["states"] and name not in packs:
            yield Finding(
                "pack-missing",
                ("state", "packs"),
                f"the agency is of {state} and the pack {name!r} of its law is not listed: add it to packs",
                refused=True,
            )
    for name, pack in packs.items():
        if state not in pack["states"]:
            yield Finding(
                "pack-foreign",
                ("state", "packs"),
                f"the agency is of {state} and the pack {name!r} is the law of {', '.join(pack['states'])}: take it out, or say why in the state",
                refused=False,
            )


def sharing_wider_than_law(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A kind of agency that a pack refuses."""
    for name, pack in _packs(document).items():
        for kind in group(document, "sharing").get("kinds", ()) or ():
            refused = pack["kinds"].get(kind, "unknown")
            if refused:
                clause = clause_of(document, "sharing")
                yield Finding(
                    "sharing-refused-by-law",
                    (clause, refused if "." in refused else f"{name}.kinds"),
                    f"{clause} shares with {kind}, which the pack {name!r} refuses: take it out",
                    refused=True,
                )


def uses_unmapped(document: Mapping[str, Any]) -> Iterator[Finding]:
    """An offence that a pack with listed purposes does not know."""
    offences = group(document, "purposes").get("offences")
    for name, pack in _packs(document).items():
        if "uses" in pack and isinstance(offences, dict):
            for code, offence in offences.items():
                use = (offence.get("uses") or {}).get(name) if isinstance(offence, dict) else None
                if use not in pack["uses"]:
                    yield Finding(
                        "use-unmapped",
                        (f"purposes.offences.{code}", f"packs.{name}"),
                        f"{code} is none of the purposes that {pack['title']} lists: set uses.{name} to one of {', '.join(pack['uses'])}, or strike the offence",
                        refused=True,
                    )


def vague_offence(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A catalogue with an "other" in it."""
    offences = group(document, "purposes").get("offences")
    for code, offence in offences.items() if isinstance(offences, dict) else ():
        title = str(offence.get("title", "")) if isinstance(offence, dict) else ""
        if {"other", "misc", "miscellaneous", "any", "general", "investigation"} & set(
            f"{code} {title}".lower().replace("-", " ").split()
        ):
            yield Finding(
                "offence-vague",
                (f"purposes.offences.{code}",),
                f'{code} lets anything through: name the offences instead, there is no "other"',
                refused=True,
            )


def words_collide(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A refused word that stands in the title of an allowed offence: every look for it would be refused."""
    purposes = group(document, "purposes")
    offences, prohibited = purposes.get("offences"), purposes.get("prohibited")
    index = {
        term_key(str(word)): use
        for use, entry in (prohibited.items() if isinstance(prohibited, dict) else ())
        if isinstance(entry, dict)
        for word in entry.get("words") or ()
    }
    for code, offence in offences.items() if isinstance(offences, dict) else ():
        if isinstance(offence, dict):
            for term in terms(f"{code} {offence.get('title', '')}", index):
                yield Finding(
                    "words-collide",
                    (f"purposes.prohibited.{index[term]}", f"purposes.offences.{code}"),
                    f"the refused word {term!r} stands in the title of {code}: an officer who writes it is refused; change one of them",
                )


def prohibited_without_words(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A prohibited use that no reason can be caught by."""
    listed = group(document, "purposes").get("prohibited")
    for use, entry in listed.items() if isinstance(listed, dict) else ():
        if isinstance(entry, dict) and not entry.get("words"):
            yield Finding(
                "prohibited-without-words",
                (f"purposes.prohibited.{use}",),
                f"{use} is refused only when it is named as the offence: list words that give it away in a reason",
            )


def clause_taken(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A prohibited use under the clause of something else: its sentence would stand in the other's place."""
    listed = group(document, "purposes").get("prohibited")
    taken = {clause for part in static_data().values() for clause in part.get("clauses", {})}
    seen: dict[str, str] = {}
    for use, entry in listed.items() if isinstance(listed, dict) else ():
        rule = str(entry.get("rule", "")) if isinstance(entry, dict) else ""
        if rule in taken or seen.setdefault(rule, use) != use:
            yield Finding(
                "clause-taken",
                (f"purposes.prohibited.{use}", rule),
                f"{rule} is the clause of something else: give {use} an ID of its own, in the agency's name",
                refused=True,
            )


def cycles_too_long(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Training or audits that come round too seldom."""
    training, audit = (
        group(document, "access").get("training_valid_days"),
        group(document, "monitoring").get("audit_every_days"),
    )
    if isinstance(training, int) and training > _LONGEST_TRAINING_DAYS:
        yield Finding(
            "training-too-long",
            (clause_of(document, "access"), "CJIS Security Policy"),
            f"training is valid {training} days: repeat it each year",
        )
    if isinstance(audit, int) and audit > _LONGEST_AUDIT_DAYS:
        yield Finding(
            "audit-too-seldom",
            (clause_of(document, "monitoring"),),
            f"audits come every {audit} days: the public page says 90",
        )


def effective_date(document: Mapping[str, Any]) -> Iterator[Finding]:
    """No day from which the policy holds."""
    if "effective" in document and not isinstance(document["effective"], date):
        yield Finding(
            "effective-no-date", ("effective",), "effective is no date: write it as 2026-11-01", refused=True
        )


def clauses_mixed(document: Mapping[str, Any]) -> Iterator[Finding]:
    """One manual under two section numbers: a citation that nobody can follow."""
    sections = sorted(
        {
            s["clause"].split(".")[0]
            for s in statements(document)
            if str(s.get("clause", "")).split(".")[0].isdigit()
        }
    )
    if len(sections) > 1:
        yield Finding(
            "clauses-mixed",
            tuple(sections),
            f"the manual cites itself as sections {' and '.join(sections)}: number it once, refusals cite these clauses",
        )
    seen: dict[str, str] = {}
    for s in statements(document):
        clause, text = str(s.get("clause", "")), str(s.get("text", ""))
        if seen.setdefault(clause, text) != text:
            yield Finding(
                "clause-twice",
                (clause,),
                f"{clause} stands twice with different words: give each its own ID",
                refused=True,
            )


LAW_CHECKS = (
    retention_over_cap, crop_outlives_read, basis_missing, pack_of_state, sharing_wider_than_law, uses_unmapped, vague_offence, words_collide,
    prohibited_without_words, clause_taken, cycles_too_long, effective_date, clauses_mixed,
)  # fmt: skip
