"""``plateward certificates list --verify``: each note checked here, and sums that add up."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from clients.cli import certificates as command
from clients.cli.audit_verdict import Verdict
from clients.cli.certificate_page import check_certificate
from plateward.hotlist.v1 import hotlist_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.certificates import CertificateStore
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read


@pytest.fixture
async def issued(pool, ingest, purger, retention, clock) -> list[reads_pb2.Certificate]:
    for day in range(3):
        news = [new_read(at=NOW + timedelta(days=day), jpeg=JPEG) for _ in range(day + 1)]
        await ingest.store(AGENCY, [accepted(new, NOW + timedelta(days=day)) for new in news])
    for day in range(3):
        clock.time = NOW + timedelta(days=30 + day, hours=8)
        await purger.run(await retention.schedules(AGENCY))
    found, _ = await CertificateStore(pool).page(AGENCY, 100, "")
    return found


@pytest.mark.req("R-RET-4")
async def test_each_certificate_is_checked_and_the_sums_add_up(issued, key, log) -> None:
    verifier, log_key = str(key.verifier), str(log.verifiers[0])
    assert len(issued) == 6

    def checked(certificate, vkey=verifier, log_vkey=log_key) -> Verdict:
        verdict = Verdict()
        check_certificate(certificate, vkey, log_vkey, verdict)
        return verdict

    assert all(checked(c).ok for c in issued)
    console = Console(file=StringIO(), width=250)
    console.print(command.table_of(issued, [checked(c) for c in issued]))
    text = console.file.getvalue()
    sums = [line.split("│") for line in text.splitlines() if "in all" in line]
    assert [(s[1].strip(), s[3].strip(), s[6].strip(), s[7].strip()) for s in sums] == [
        ("3 certificates", "crop", "6", "0"),
        ("3 certificates", "read", "6", "0"),
    ]
    assert text.count("yes") == 6

    altered = reads_pb2.Certificate.FromString(issued[0].SerializeToString())
    altered.destroyed += 1
    assert not checked(altered).ok
    swapped = reads_pb2.Certificate.FromString(issued[0].SerializeToString())
    swapped.receipt.CopyFrom(issued[1].receipt)
    assert not checked(swapped).ok
    assert checked(swapped, log_vkey="").ok


@pytest.mark.req("R-RET-4")
async def test_the_command_reads_all_pages_and_ends_with_1_when_one_does_not_hold(
    issued, key, log, monkeypatch
) -> None:
    monkeypatch.setattr(command, "_PAGE", 4)

    def ask(_connect, _member, call):
        class Stub:
            def ListCertificates(self, request):
                at = int(request.page.token or 0)
                part = issued[at : at + request.page.size]
                rest = str(at + len(part)) if at + len(part) < len(issued) else ""
                return reads_pb2.ListCertificatesResponse(
                    certificates=part, next_page_token=rest, verifier_key=str(key.verifier)
                )

        return call(Stub(), {})

    monkeypatch.setattr(command, "ask", ask)
    none = hotlist_pb2.ListHitCertificatesResponse(verifier_key=str(key.verifier))
    monkeypatch.setattr(command, "call_hotlist", lambda _connect, _member, _call: none)
    run = SimpleNamespace(
        invoke=lambda *words: CliRunner().invoke(command.app, ["list", *words], env={"COLUMNS": "250"})
    )
    good = run.invoke("--verify", "--vkey", str(key.verifier), "--log-vkey", str(log.verifiers[0]))
    assert good.exit_code == 0, good.output
    assert "VERIFIED: 6 certificates" in good.output
    assert "note:" not in good.output
    assert "the service itself gave" in run.invoke("--verify").output
    assert run.invoke("--rows", "5").output.count("462.4") == 5
    issued[2].held += 1
    bad = run.invoke("--verify")
    assert bad.exit_code == 1
    assert "1 of 6 do not hold" in bad.output
    assert f"{issued[2].certificate_id}: every figure" in bad.output
