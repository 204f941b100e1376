"""``plateward audit disclosure``: who looked at this plate, for counsel; and sealing an entry by a court's order."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from rich.console import Console
from rich.table import Table

from clients.cli.audit_calls import DEFAULT, DESIGNEE, Connect, Designee, ask
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc, event_pb2
from servicekit.crypto import UnsealError, open_sealed
from tlog.checkpoint import CheckpointError, open_checkpoint
from tlog.hashing import leaf_hash
from tlog.leaf import Leaf, LeafError, commitment
from tlog.note import NoteError, VerifierKey
from tlog.proofs import ProofError, verify_inclusion

app = typer.Typer(
    no_args_is_help=True,
    help="Who looked at this plate (Civil Code 1798.90.54), for counsel: two persons, encrypted for one recipient. And sealing by order.",
    epilog="Counsel: keys, and later open. The agency: get an approval of exactly this request, then export.",
)
_INFO = b"plateward-disclosure/v1"
_POINT = 65
Approval = Annotated[
    str, typer.Option("--approval", help="ID of a second person's granted approval (plateward approvals).")
]


@app.command()
def keys(
    out: Annotated[Path, typer.Option("--out", help="Where the private key goes.")] = Path("counsel.key"),
) -> None:
    """Make counsel's key pair; print the public key, which goes to the agency."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _end(f"{out} exists: name another file, packages for the old key would be lost")
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(*form))
    print(
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
        end="",
    )


@app.command()
def export(
    plate: Annotated[str, typer.Argument(help="The plate.")],
    process: Annotated[str, typer.Option(help="Legal process. Example: 'subpoena 26CV00871'.")],
    recipient: Annotated[Path, typer.Option(help="Counsel's public key (PEM).", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option("--out", help="File for the encrypted package.")] = Path(
        "disclosure.sealed"
    ),
    approval: Approval = "",
    member: Designee = DESIGNEE,
    connect: Connect = DEFAULT,
) -> None:
    """Export every look at a plate, encrypted for counsel. Needs a second person's approval of exactly this request."""
    request = audit_pb2.ExportDiscoveryRequest(
        plate=plate, process=process, approval_id=approval, recipient_key=recipient.read_bytes()
    )

    async def collect(
        stub: audit_pb2_grpc.AuditServiceAsyncStub, metadata: tuple[tuple[str, str], ...]
    ) -> bytes:
        return b"".join([part.chunk async for part in stub.ExportDiscovery(request, metadata=metadata)])

    data = ask(connect, member, collect)
    out.write_bytes(data)
    print(f"{out}: {len(data):,} bytes; only the holder of the recipient's private key can read it")


@app.command("open")
def open_package(
    package: Annotated[Path, typer.Argument(help="The encrypted package.", exists=True, dir_okay=False)],
    key: Annotated[Path, typer.Option(help="Counsel's private key.", exists=True, dir_okay=False)] = Path(
        "counsel.key"
    ),
    vkey: Annotated[
        str,
        typer.Option(
            help="The log's public key from the agency's policy page; the package's own, if left out."
        ),
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", help="Where the decrypted JSON goes.")] = None,
) -> None:
    """Decrypt a package and check each look in it against the log's signed checkpoint, alone and offline."""
    try:
        told = decrypt(package.read_bytes(), key.read_bytes())
        faults = check(told, vkey)
    except (ValueError, UnsealError, KeyError, TypeError) as error:
        _end(f"{package} cannot be opened: {error}")
    table = Table(
        "#",
        "when",
        "who",
        "organisation",
        "why",
        "case",
        "result",
        "proof",
        title=f"Looks at {told['plate']}",
        title_justify="left",
    )
    for e in told["entries"]:
        event: dict[str, Any] = e.get("event", {})
        subject, purpose = event.get("subject", {}), event.get("purpose", {})
        table.add_row(
            str(e["index"]), str(event.get("occurred_at", e.get("sealed", ""))), subject.get("member_name", subject.get("member_id", "")),
            subject.get("agency_id", ""), f"{purpose.get('offence', '')} {purpose.get('reason', '')}".strip(), purpose.get("case_number", ""),
            event.get("outcome", {}).get("status", event.get("phase", "")), "[red]does not hold[/]" if e["index"] in faults else "holds",
        )  # fmt: skip
    Console(highlight=False).print(table)
    if out is not None:
        out.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    if faults:
        _end("; ".join(f"entry {i}: {why}" for i, why in sorted(faults.items())))
    print(
        f"{len(told['entries'])} entries, each proven to be in the log of {told['checkpoint'].splitlines()[1]} entries"
    )


@app.command()
def seal(
    entry: Annotated[int, typer.Argument(help="Position in the log.")],
    order: Annotated[
        str,
        typer.Option(
            help="The court's order. Example: 'Sacramento County Superior Court, 26CR1187, 2026-11-01'."
        ),
    ],
    approval: Approval = "",
    member: Designee = DESIGNEE,
    connect: Connect = DEFAULT,
) -> None:
    """Destroy the key of an entry's payload by a court's order. It cannot be undone; the log stays whole and says so."""
    request = audit_pb2.SealEventRequest(index=entry, order=order, approval_id=approval)
    answer = ask(connect, member, lambda s, m: s.SealEvent(request, metadata=m))
    print(f"entry {entry} is sealed; the order is entry #{answer.order_receipt.index} of the log")


def decrypt(sealed: bytes, private_pem: bytes) -> dict[str, Any]:
    """Return the content of a package.

    Raises:
        UnsealError: it is for another key, or altered.
        ValueError: key or package are malformed.
    """
    key = serialization.load_pem_private_key(private_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not an elliptic-curve key")  # noqa: TRY004 - what the file holds is wrong, not a type
    point = sealed[:_POINT]
    secret = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    derived = HKDF(hashes.SHA256(), 32, salt=point, info=_INFO).derive(secret)
    told: dict[str, Any] = json.loads(open_sealed(derived, sealed[_POINT:], _INFO))
    return told


def check(told: dict[str, Any], vkey: str = "") -> dict[int, str]:
    """Return what does not hold, by entry: leaf, proof, commitment.

    Raises:
        ValueError: the checkpoint itself is not to be trusted.
    """
    lines = (
        [(Path(vkey).read_text(encoding="utf-8") if Path(vkey).is_file() else vkey).strip()]
        if vkey
        else told["log_keys"]
    )
    try:
        checkpoint = open_checkpoint(
            told["checkpoint"], [VerifierKey.parse(line) for line in lines]
        ).checkpoint
    except (CheckpointError, NoteError) as error:
        raise ValueError(str(error)) from error
    faults = {}
    for e in told["entries"]:
        leaf = e["leaf"].encode()
        try:
            verify_inclusion(
                leaf_hash(leaf),
                e["index"],
                checkpoint.size,
                [bytes.fromhex(h) for h in e["inclusion_proof"]],
                checkpoint.root,
            )
            if "payload" in e:
                payload = base64.b64decode(e["payload"])
                if commitment(base64.b64decode(e["salt"]), payload) != Leaf.parse(leaf).commitment:
                    faults[e["index"]] = "what is shown is not what the log committed to"
                elif event_pb2.AuditEvent.FromString(payload).event_id != Leaf.parse(leaf).event_id:
                    faults[e["index"]] = "the event is another one"
        except (ProofError, LeafError) as error:
            faults[e["index"]] = str(error)
    return faults


def _end(message: str) -> NoReturn:
    Console(stderr=True, highlight=False).print(message, markup=False)
    raise typer.Exit(1)
