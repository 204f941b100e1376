"""The issuer over HTTPS: OpenID Connect (code flow with PKCE), and the pages on which members sign in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from clients.issuer import enrol, sign_in
from clients.issuer.flows import ClientError, Flow, RequestError, parse, proves
from clients.issuer.keys import ALGORITHM
from clients.issuer.pages import message, static
from clients.issuer.parts import ISSUER, LOG, SESSION_COOKIE, Issuer, answer, form, of
from clients.issuer.store import token_hash

_MOST_BODY = 64 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(issuer: Issuer) -> web.Application:
    """Return the web application of an issuer."""
    app = web.Application(client_max_size=_MOST_BODY, middlewares=[_plain_errors])
    app[ISSUER] = issuer
    app.router.add_get("/.well-known/openid-configuration", _discovery)
    app.router.add_get("/jwks", _jwks)
    app.router.add_get("/authorize", _authorize)
    app.router.add_post("/token", _token)
    app.router.add_post("/revoke", _revoke)
    app.router.add_post("/sign-in", sign_in.password)
    app.router.add_post("/second", sign_in.second)
    app.router.add_post("/passkey/question", sign_in.passkey_question)
    app.router.add_post("/passkey/answer", sign_in.passkey_answer)
    app.router.add_get("/enrol", enrol.show)
    app.router.add_post("/enrol", enrol.finish)
    app.router.add_post("/enrol/passkey/question", enrol.passkey_question)
    app.router.add_post("/enrol/passkey/answer", enrol.passkey_answer)
    app.router.add_get("/", _root)
    app.router.add_get("/{name}", _static)
    return app


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what goes wrong with a sentence, and keep its trace in the log."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status >= 400:
            return message(
                "Not here", "There is no such page: begin again from your program.", status=error.status
            )
        raise
    except Exception:  # noqa: BLE001 - whatever it is, its trace stays inside
        LOG.exception("issuer_fault", path=request.path)
        return message("Something broke", "This is the issuer's fault. Try again, and tell your administrator.", status=500)  # fmt: skip


async def _root(request: web.Request) -> web.Response:
    return message("Token issuer", f"This is {of(request).url}. Sign in from your program: plateward login.")


async def _static(request: web.Request) -> web.Response:
    return static(request.match_info["name"])


async def _discovery(request: web.Request) -> web.Response:
    url = of(request).url
    return answer({
        "issuer": url, "authorization_endpoint": f"{url}/authorize", "token_endpoint": f"{url}/token",
        "revocation_endpoint": f"{url}/revoke", "jwks_uri": f"{url}/jwks", "response_types_supported": ["code"],
        "response_modes_supported": ["query"], "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": [ALGORITHM],
        "scopes_supported": ["openid"], "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": True,
        "claims_supported": ["sub", "name", "agency", "amr", "auth_time", "federal_task_force"],
    })  # fmt: skip


async def _jwks(request: web.Request) -> web.Response:
    return answer(of(request).keys.published(of(request).now))


async def _authorize(request: web.Request) -> web.StreamResponse:
    issuer = of(request)
    try:
        asked = parse(request.query, issuer.clients)
    except RequestError as error:
        return message("Not possible", str(error), status=400)
    except ClientError as error:
        raise web.HTTPSeeOther(error.redirect) from None
    flow = Flow(asked)
    token = request.cookies.get(SESSION_COOKIE, "")
    session = issuer.grants.used(token_hash(token), issuer.now) if token and asked.prompt != "login" else None
    if session is not None:
        raise web.HTTPSeeOther(sign_in.code_for(issuer, flow, session.session_hash))
    if asked.prompt == "none":
        raise web.HTTPSeeOther(asked.answer(issuer.url, error="login_required"))
    return sign_in.begin(issuer, flow)


async def _token(request: web.Request) -> web.Response:
    issuer, fields = of(request), await form(request)
    kind, client_id = fields.get("grant_type"), fields.get("client_id", "")
    if client_id not in issuer.clients:
        return _refused("invalid_client", "this program is not registered here", 401)
    if kind == "refresh_token":
        refreshed = issuer.grants.refreshed(fields.get("refresh_token", ""), client_id, issuer.now)
        if refreshed is None:
            return _refused("invalid_grant", "the session is over: sign in again")
        return answer(refreshed)
    if kind != "authorization_code":
        return _refused("unsupported_grant_type", "grant_type is authorization_code or refresh_token")
    return _exchanged(issuer, fields, client_id)


def _exchanged(issuer: Issuer, fields: dict[str, str], client_id: str) -> web.Response:
    text, now = fields.get("code", ""), issuer.now
    code = issuer.codes.take(text, now)
    if code is None:
        # A code that comes twice was stolen on the way: what it opened is closed (RFC 6749, 4.1.2).
        if (session := issuer.spent.get(_spent(text), now)) is not None:
            issuer.store.end_session(session)
            LOG.warning("code_used_twice", client=client_id)
        return _refused("invalid_grant", "the code was used or has lapsed: sign in again")
    issuer.spent.put(_spent(text), code.session, now)
    asked = code.asked
    if (asked.client_id, asked.redirect_uri) != (client_id, fields.get("redirect_uri", "")):
        return _refused("invalid_grant", "the code was given to another program or address")
    if not proves(fields.get("code_verifier", ""), asked.challenge):
        return _refused("invalid_grant", "code_verifier is not what the code was asked for with")
    session_now = issuer.grants.used(code.session, now)
    tokens = issuer.grants.tokens(session_now, asked, now) if session_now is not None else None
    return (
        answer(tokens)
        if tokens is not None
        else _refused("invalid_grant", "the session is over: sign in again")
    )


async def _revoke(request: web.Request) -> web.Response:
    of(request).grants.end((await form(request)).get("token", ""))
    return answer({})


def _spent(code: str) -> str:
    return token_hash(code).hex()


def _refused(code: str, description: str, status: int = 400) -> web.Response:
    return answer({"error": code, "error_description": description}, status)
