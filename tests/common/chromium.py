"""A real browser for tests: headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE_S = 30.0


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def spki(certificate: Path) -> str:
    """Return the digest by which Chromium is told to trust one certificate (base64 of SHA-256 of its key)."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Tab:
    """One page of the browser."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []

    async def listen(self) -> None:
        """Take answers and what the page complains about; runs until the page is closed."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            said = json.loads(message.data)
            if (waiting := self._answers.pop(said.get("id", 0), None)) is not None:
                waiting.set_result(said)
            elif said.get("method") == "Log.entryAdded":
                entry = said["params"]["entry"]
                self.complaints.append(f"{entry['level']}: {entry['text']}")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._count += 1
        waiting = self._answers[self._count] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._count, "method": method, "params": parameters})
        answer = await asyncio.wait_for(waiting, _PATIENCE_S)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def js(self, expression: str) -> Any:
        """Evaluate an expression in the page; return its value."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def open(self, url: str) -> None:
        """Open an address and wait until it is there."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page, also over navigations."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
            if answer["result"].get("value") is True:
                return
            if asyncio.get_running_loop().time() > deadline:
                text = await self.js("location.href + ' ' + document.body.innerText")
                raise AssertionError(f"never: {expression}; the page is {text}; {self.complaints}")
            await asyncio.sleep(0.05)

    async def fill(self, name: str, value: str) -> None:
        """Type into a field of the page's form."""
        await self.js(f"document.querySelector('input[name={name}]').focus()")
        await self.call("Input.insertText", text=value)

    async def click(self, selector: str) -> None:
        """Click on an element with the mouse, as a person: passkeys ask for that."""
        box = await self.js(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView(); "
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="left",
                clickCount=1,
            )

    async def picture(self, file: Path) -> None:
        """Take a screenshot (PNG)."""
        answer = await self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(answer["data"]))


@asynccontextmanager
async def chromium(program: str, trusted: Path) -> AsyncIterator[Tab]:
    """A browser with one page, that trusts one certificate more than others do."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=900,1000",
                f"--ignore-certificate-errors-spki-list={spki(trusted)}", "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            port = await _port(Path(profile) / "DevToolsActivePort", process)
            async with ClientSession() as http:
                async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    page = next(t for t in await answer.json() if t["type"] == "page")
                async with http.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=64 << 20) as socket:
                    tab = Tab(socket)
                    listening = asyncio.create_task(tab.listen())
                    for domain in ("Page", "Runtime", "Log"):
                        await tab.call(f"{domain}.enable")
                    try:
                        yield tab
                    finally:
                        listening.cancel()
                        await asyncio.gather(listening, return_exceptions=True)
        finally:
            process.kill()
            process.wait()


async def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while not file.exists() or not file.read_text():
        assert process.poll() is None, "Chromium ended by itself"
        assert asyncio.get_running_loop().time() < deadline, "Chromium did not come up"
        await asyncio.sleep(0.05)
    return int(file.read_text().split("\n")[0])
