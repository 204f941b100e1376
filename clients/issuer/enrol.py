"""Enrolment: a link that works once and for a day lets a member set password, authenticator and passkey."""

from __future__ import annotations

import secrets

from aiohttp import web

from clients.issuer.flows import Enrolment
from clients.issuer.pages import message, page
from clients.issuer.parts import LOG, Issuer, answer, body, form, of
from clients.issuer.passwords import LEAST_LENGTH, PasswordError
from clients.issuer.store import Account, token_hash

LINK_S = 24 * 3600.0
_STALE = "This enrolment link was used or has lapsed: ask your administrator for a new one."


def new_link(issuer: Issuer, member_id: str) -> str:
    """Return a link with which a member enrols; links given out before for this member no longer work."""
    token = secrets.token_urlsafe(32)
    with issuer.store.at_once():
        issuer.store.run("DELETE FROM enrolments WHERE member_id = ?", member_id)
        issuer.store.run(
            "INSERT INTO enrolments (token_hash, member_id, expires_at) VALUES (?, ?, ?)",
            token_hash(token), member_id, issuer.now + LINK_S,
        )  # fmt: skip
    return f"{issuer.url}/enrol?token={token}"


async def show(request: web.Request) -> web.Response:
    """GET /enrol: the page of a link."""
    issuer = of(request)
    row = issuer.store.one(
        "SELECT member_id FROM enrolments WHERE token_hash = ? AND expires_at > ?",
        token_hash(request.query.get("token", "")),
        issuer.now,
    )
    account = issuer.store.account(row["member_id"]) if row is not None else None
    if account is None:
        return message("Link not valid", _STALE, status=404)
    enrolment = Enrolment(account.member_id, issuer.totp.new_secret())
    return _page(issuer, issuer.enrolments.keep(enrolment, issuer.now), enrolment, account)


async def finish(request: web.Request) -> web.Response:
    """POST /enrol: password and the first code of the authenticator."""
    issuer, fields = of(request), await form(request)
    name = fields.get("enrolment", "")
    enrolment, account = _under_way(issuer, name)
    if enrolment is None or account is None:
        return message("Link not valid", _STALE, status=400)
    if fields.get("password") != fields.get("again"):
        return _page(issuer, name, enrolment, account, "The two passwords differ.", 400)
    try:
        issuer.passwords.check_new(fields.get("password", ""), account)
    except PasswordError as error:
        return _page(issuer, name, enrolment, account, f"Another password, please: {error}.", 400)
    if not issuer.totp.set(account, enrolment.secret, fields.get("code", ""), issuer.now):
        told = "The code does not fit the key: check the clock of the device, and type the code it shows now."
        return _page(issuer, name, enrolment, account, told, 400)
    await issuer.passwords.set(account, fields["password"])
    issuer.enrolments.take(name, issuer.now)
    issuer.store.run("DELETE FROM enrolments WHERE member_id = ?", account.member_id)
    issuer.tries.forget(account.member_id)
    LOG.info("enrolled", member=account.member_id)
    return message(
        "All set", "Password and second factor are set. Close this page and sign in from your program."
    )


async def passkey_question(request: web.Request) -> web.Response:
    """POST /enrol/passkey/question: what the browser is to make."""
    issuer = of(request)
    enrolment, account = _under_way(issuer, str((await body(request)).get("enrolment", "")))
    if enrolment is None or account is None:
        return answer({"message": _STALE}, 400)
    enrolment.challenge, options = issuer.passkeys.registration(account)
    return answer(options)


async def passkey_answer(request: web.Request) -> web.Response:
    """POST /enrol/passkey/answer: what it made."""
    issuer, content = of(request), await body(request)
    enrolment, account = _under_way(issuer, str(content.get("enrolment", "")))
    credential = content.get("credential")
    if enrolment is None or account is None or not enrolment.challenge or not isinstance(credential, dict):
        return answer({"message": _STALE}, 400)
    challenge, enrolment.challenge = enrolment.challenge, b""
    if not issuer.passkeys.register(account, challenge, credential, issuer.now):
        return answer({"message": "The passkey could not be taken: try again, or another device."}, 400)
    LOG.info("passkey_added", member=account.member_id)
    return answer({"added": True})


def _under_way(issuer: Issuer, name: str) -> tuple[Enrolment | None, Account | None]:
    enrolment = issuer.enrolments.get(name, issuer.now)
    if enrolment is None:
        return None, None
    # A link that was used, or replaced, ends what it had begun elsewhere too.
    open_link = issuer.store.one(
        "SELECT 1 FROM enrolments WHERE member_id = ? AND expires_at > ?", enrolment.member_id, issuer.now
    )
    return (enrolment, issuer.store.account(enrolment.member_id)) if open_link is not None else (None, None)


def _page(
    issuer: Issuer, name: str, enrolment: Enrolment, account: Account, error: str = "", status: int = 200
) -> web.Response:
    grouped = " ".join(enrolment.secret[i : i + 4] for i in range(0, len(enrolment.secret), 4))
    return page(
        "enrol", "Set up your account", status=status, error=error, enrolment=name, member=account.member_id,
        name=account.name, agency=account.agency_id, least=LEAST_LENGTH, secret=grouped,
        uri=issuer.totp.uri(account, enrolment.secret),
    )  # fmt: skip
