"""Fill an empty database with a sample's people and partners. For trying out; an installation's administrator enters them."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files

import yaml

from servicekit.clock import Clock
from servicekit.ids import new_id
from services.access.policy import PACKAGE, PolicyBundle
from services.access.store import ACTIVE_ACCOUNT, ACTIVE_AGREEMENT, Store


async def seed(store: Store, bundle: PolicyBundle, name: str, clock: Clock) -> int:
    """Store a sample's agencies, members, cases and agreements; return how many members, 0 when the database is not empty."""
    if not await store.is_empty():
        return 0
    data = yaml.safe_load((files(PACKAGE) / "samples" / f"{name}-members.yaml").read_text(encoding="utf-8"))
    now, own = clock.now(), bundle.document["agency"]
    for agency in data["agencies"]:
        await store.put_agency(**agency)
    for member in data["members"]:
        row = {"agency_id": own, "state": ACTIVE_ACCOUNT, "federal_task_force": False, **member}
        await store.put_member(row)
        expires = now + timedelta(days=member["training_days"])
        await store.record_training(own, member["member_id"], bundle.data["training"], expires)
    for case in data["cases"]:
        await store.put_case({
            "agency_id": own, "case_number": case["number"], "offence": case["offence"], "unit": case["unit"],
            "opened_at": now - timedelta(days=case["opened_days_ago"]), "closed_at": None,
        })  # fmt: skip
    for agreement in data["agreements"]:
        await store.put_agreement({
            "agreement_id": new_id(clock), "owner": agreement["owner"], "partner": agreement["partner"], "camera_ids": [],
            "offences": [], "window_s": agreement["window_days"] * 86_400, "state": ACTIVE_AGREEMENT, "decided_by": "sample",
            "expires_at": now + timedelta(days=agreement["expires_days"]), "justification": agreement["justification"],
        })  # fmt: skip
    return len(data["members"])
