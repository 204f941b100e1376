"""Signing in: password, then a second factor; or a passkey that is both.

A flow belongs to the browser that began it: its name is in the form and in a cookie, and both must be the same.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from clients.issuer.flows import Code, Flow
from clients.issuer.pages import message, page
from clients.issuer.parts import FLOW_COOKIE, LOG, SESSION_COOKIE, Issuer, answer, body, form, of
from clients.issuer.store import token_hash

_WRONG = "Member ID or password is wrong, or the account may not sign in."
_STALE = "This sign-in has lapsed or belongs to another window: begin again from your program."
_NO_SECOND = "Your account has no second factor yet: ask your administrator for an enrolment link."


def begin(issuer: Issuer, flow: Flow) -> web.Response:
    """Return the first page of a sign-in."""
    name = issuer.flows.keep(flow, issuer.now)
    response = _first_page(name, flow)
    response.set_cookie(FLOW_COOKIE, name, secure=True, httponly=True, samesite="Lax", path="/")
    return response


async def password(request: web.Request) -> web.Response:
    """POST /sign-in: member ID and password."""
    issuer, fields = of(request), await form(request)
    name, flow = _flow(request, fields.get("flow", ""))
    if flow is None:
        return message("Begin again", _STALE, status=400)
    member_id = fields.get("member", "").strip()[:128]
    if locked := issuer.tries.locked_for(member_id, issuer.now):
        return _first_page(name, flow, member_id, _locked(locked), status=429)
    account = issuer.store.account(member_id)
    if not await issuer.passwords.matches(account, fields.get("password", "")):
        return _first_page(name, flow, member_id, _failed(issuer, member_id, "password"), status=401)
    if account is None:
        raise LookupError(member_id)
    if not account.has_totp and not account.passkeys:
        return message("Second factor missing", _NO_SECOND, status=403)
    flow.member_id = member_id
    return _second_page(issuer, name, flow)


async def second(request: web.Request) -> web.Response:
    """POST /second: the code of the authenticator."""
    issuer, fields = of(request), await form(request)
    name, flow = _flow(request, fields.get("flow", ""))
    if flow is None or not flow.member_id:
        return message("Begin again", _STALE, status=400)
    if locked := issuer.tries.locked_for(flow.member_id, issuer.now):
        return _second_page(issuer, name, flow, _locked(locked), status=429)
    if not issuer.totp.accepts(flow.member_id, fields.get("code", ""), issuer.now):
        wrong = _failed(
            issuer, flow.member_id, "otp", "The code is wrong or was used before: wait for the next one."
        )
        return _second_page(issuer, name, flow, wrong, status=401)
    location, session = _signed_in(issuer, name, flow, ("pwd", "otp", "mfa"))
    return _sent_back(web.HTTPSeeOther(location), session)


async def passkey_question(request: web.Request) -> web.Response:
    """POST /passkey/question: what the browser is to sign."""
    issuer = of(request)
    _, flow = _flow(request, str((await body(request)).get("flow", "")))
    if flow is None:
        return answer({"message": _STALE}, 400)
    flow.challenge, options = issuer.passkeys.question(flow.member_id or None)
    return answer(options)


async def passkey_answer(request: web.Request) -> web.Response:
    """POST /passkey/answer: the signature."""
    issuer, content = of(request), await body(request)
    name, flow = _flow(request, str(content.get("flow", "")))
    credential = content.get("credential")
    if flow is None or not flow.challenge or not isinstance(credential, dict):
        return answer({"message": _STALE}, 400)
    if flow.member_id and (locked := issuer.tries.locked_for(flow.member_id, issuer.now)):
        return answer({"message": _locked(locked)}, 429)
    challenge, flow.challenge = flow.challenge, b""
    proved = issuer.passkeys.answered(challenge, credential, flow.member_id or None)
    if proved is None:
        told = "The passkey is not one of this account, or did not verify you."
        return answer({"message": _failed(issuer, flow.member_id, "passkey", told)}, 401)
    member_id, methods = proved
    if locked := issuer.tries.locked_for(member_id, issuer.now):
        return answer({"message": _locked(locked)}, 429)
    # After a password it is the second factor; by itself it has verified its user, and is both.
    amr = (("pwd",) if flow.member_id else ()) + methods + ("mfa",)
    flow.member_id = member_id
    location, session = _signed_in(issuer, name, flow, amr)
    return _sent_back(answer({"location": location}), session)


def code_for(issuer: Issuer, flow: Flow, session: bytes) -> str:
    """Return the address with an authorization code that the browser is sent to."""
    code = issuer.codes.keep(Code(session, flow.asked), issuer.now)
    return flow.asked.answer(issuer.url, code=code)


def _signed_in(issuer: Issuer, name: str, flow: Flow, amr: tuple[str, ...]) -> tuple[str, str]:
    issuer.flows.take(name, issuer.now)
    issuer.tries.forget(flow.member_id)
    session = issuer.grants.open(flow.member_id, amr, issuer.now)
    LOG.info("signed_in", member=flow.member_id, amr=list(amr), client=flow.asked.client_id)
    return code_for(issuer, flow, token_hash(session)), session


def _sent_back(response: Any, session: str) -> web.Response:
    response.set_cookie(SESSION_COOKIE, session, secure=True, httponly=True, samesite="Lax", path="/")
    response.del_cookie(FLOW_COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    if isinstance(response, web.HTTPException):
        raise response
    return response  # type: ignore[no-any-return]


def _flow(request: web.Request, name: str) -> tuple[str, Flow | None]:
    if not name or request.cookies.get(FLOW_COOKIE) != name:
        return name, None
    return name, of(request).flows.get(name, of(request).now)


def _failed(issuer: Issuer, member_id: str, what: str, told: str = _WRONG) -> str:
    locked = issuer.tries.failed(member_id, issuer.now) if member_id else False
    LOG.warning("sign_in_refused", member=member_id[:128], factor=what, locked=locked)
    return _locked(issuer.tries.locked_for(member_id, issuer.now)) if locked else told


def _locked(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"Too many failed tries: wait {minutes} minute{'s' if minutes > 1 else ''}, or ask your administrator to unlock it."


def _first_page(
    name: str, flow: Flow, member_id: str = "", error: str = "", status: int = 200
) -> web.Response:
    return page(
        "sign_in", "Sign in", status=status, error=error, returns_to=flow.asked.redirect_uri, flow=name, member=member_id
    )  # fmt: skip


def _second_page(issuer: Issuer, name: str, flow: Flow, error: str = "", status: int = 200) -> web.Response:
    account = issuer.store.account(flow.member_id)
    return page(
        "second", "Second factor", status=status, error=error, returns_to=flow.asked.redirect_uri, flow=name,
        totp=account is not None and account.has_totp, passkey=account is not None and account.passkeys > 0,
    )  # fmt: skip
