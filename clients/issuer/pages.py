"""The pages that people see: templates without inline script or style, and the headers that keep them to themselves."""

from __future__ import annotations

from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=PackageLoader("clients.issuer", "pages"), autoescape=True, undefined=StrictUndefined
)
_STATIC = {"style.css": "text/css", "passkey.js": "text/javascript"}
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Strict-Transport-Security": "max-age=31536000",
    # Which software in which version is nobody's business.
    "Server": "plateward",
}


def page(
    template: str, title: str, *, status: int = 200, error: str = "", returns_to: str = "", **values: Any
) -> web.Response:
    """Return a page. ``returns_to`` is the address that its form may end at, through a redirect."""
    text = _ENVIRONMENT.get_template(f"{template}.html").render(title=title, error=error, **values)
    parts = urlsplit(returns_to)
    policy = f"{_POLICY} {parts.scheme}://{parts.netloc}" if parts.netloc else _POLICY
    headers = {**HEADERS, "Content-Security-Policy": policy}
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def message(title: str, text: str, *, status: int = 200) -> web.Response:
    """Return a page that only says something."""
    return page("message", title, status=status, text=text)


def static(name: str) -> web.Response:
    """Return a file of the pages; raise HTTPNotFound for any other name."""
    if name not in _STATIC:
        raise web.HTTPNotFound
    text = (files("clients.issuer") / "pages" / name).read_text(encoding="utf-8")
    headers = {**HEADERS, "Cache-Control": "max-age=300"}
    return web.Response(text=text, content_type=_STATIC[name], headers=headers)
