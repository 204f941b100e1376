"""How the command line shows a refused or failed call: the rule, the sentence and the request ID to quote."""

from __future__ import annotations

from typing import NoReturn

import grpc
import typer
from rich.console import Console

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError, parse_rpc_error

REFUSED = 3
FAILED = 4
# What to type next, where a command does what the sentence asks for.
_NEXT = {
    "agency.second-person": "the same search with --ask-approval; then plateward approvals",
    "ca.sb34-no-agreement": "plateward agreements request",
    "agency.training-current": "an administrator: plateward members train",
    "agency.account-inactive": "an administrator: plateward members open",
}


def end_refused(error: grpc.aio.AioRpcError) -> NoReturn:
    """Print why a call failed to standard error and end: exit code 3 for a refusal, 4 for a fault."""
    console = Console(stderr=True, highlight=False)
    fault = parse_rpc_error(error)
    if fault is None:
        console.print(
            f"[bold red]failed[/] {error.code().name}: {error.details()}\n"
            "The service did not answer as one: is it running (plateward up), and is the certificate its own?",
            markup=True,
        )
        raise typer.Exit(FAILED) from None
    reason = errors_pb2.ErrorReason.Name(fault.reason).removeprefix("ERROR_REASON_").lower().replace("_", "-")
    rule = fault.metadata.get("rule", "") or reason
    refused = not _is_fault(fault)
    console.print(f"[bold red]{'refused' if refused else 'failed'}[/] by [bold]{rule}[/]: ", end="")
    console.print(str(fault), markup=False)
    for field, what in fault.violations:
        console.print(f"  {field}: {what}", markup=False)
    if rule in _NEXT:
        console.print(f"  next: {_NEXT[rule]}", markup=False)
    policy, request_id = fault.metadata.get("policy_version", ""), fault.metadata.get("request_id", "")
    details = [f"policy {policy}" if policy else "", f"request {request_id}" if request_id else ""]
    console.print("  " + ", ".join(detail for detail in details if detail), markup=False)
    raise typer.Exit(REFUSED if refused else FAILED) from None


def _is_fault(fault: PlatewardError) -> bool:
    return fault.status in (
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNIMPLEMENTED,
    )
