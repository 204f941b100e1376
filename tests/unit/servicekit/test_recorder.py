"""Whose record a call stands in: the caller's, and that of every owner whose data was open to it."""

from __future__ import annotations

import pytest

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, decision_pb2, receipt_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.clock import Clock
from servicekit.context import CallContext
from servicekit.identity import Caller
from servicekit.interceptors.audit import Recorder
from servicekit.interceptors.call import Call
from servicekit.methods import methods_of
from servicekit.telemetry import Metrics


class Log:
    """Keeps what is appended."""

    def __init__(self) -> None:
        self.events: list[event_pb2.AuditEvent] = []

    async def append(self, event: event_pb2.AuditEvent) -> receipt_pb2.Receipt:
        self.events.append(event)
        return receipt_pb2.Receipt(index=len(self.events))


def search(allowed: list[str]) -> Call:
    clock = Clock()
    service = reads_pb2.DESCRIPTOR.services_by_name["ReadsService"]
    method = next(m for m in methods_of(service) if m.name == "SearchReads")
    subject = types_pb2.Subject(agency_id="galt-pd", member_id="galt-1", member_name="Det. Sam Lowe")
    context = CallContext(
        request_id="r-1", method=method.path, caller=Caller("galt-pd", action_pb2.CALLER_KIND_PARTNER, ""),
        subject=subject, received_at=clock.now(),
        decision=decision_pb2.Decision(
            effect=decision_pb2.EFFECT_ALLOW, obligations=decision_pb2.Obligations(agency_ids=allowed)
        ),
    )  # fmt: skip
    request = reads_pb2.SearchReadsRequest(plate="8ABC123", owner_agency_ids=["elk-grove-pd", "lodi-pd"])
    request.purpose.offence, request.purpose.case_number = "vehicle-theft", "G26-00117"
    return Call(method, None, context, request=request)


@pytest.mark.req("R-ACC-6")
@pytest.mark.req("R-SHR-1")
async def test_each_owner_has_the_partners_query_in_its_own_record() -> None:
    log = Log()
    recorder = Recorder("reads", log, Clock(), Metrics("reads"))
    receipt = await recorder.outcome(search(["elk-grove-pd", "galt-pd", "lodi-pd"]))
    assert sorted(event.owner_agency_id for event in log.events) == ["elk-grove-pd", "lodi-pd"]
    assert len({event.event_id for event in log.events}) == 2
    assert log.events[receipt.index - 1].owner_agency_id == "elk-grove-pd"
    for event in log.events:
        assert (event.subject.member_id, event.purpose.case_number) == ("galt-1", "G26-00117")
        assert event.request_id == "r-1"


async def test_one_owner_is_one_event() -> None:
    log = Log()
    await Recorder("reads", log, Clock(), Metrics("reads")).outcome(search(["elk-grove-pd"]))
    assert [event.owner_agency_id for event in log.events] == ["elk-grove-pd"]
