"""The world outside of a run, which no checkpoint can take back: a server that counts what reaches it."""

import urllib.request
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


class Shop(ThreadingHTTPServer):
    """Answers `GET /STEP/KEY`; a key that it knows has no effect a second time. It is slow with the first charge."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Desk)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.calls: Counter[str] = Counter()
        self.effects: dict[str, str] = {}
        self.is_charging, self.may_answer = Event(), Event()

    def serve(self, step: str, key: str) -> None:
        self.calls[step] += 1
        self.effects.setdefault(key, step)
        if step == "charge":
            self.is_charging.set()
            self.may_answer.wait()

    def report(self) -> str:
        effects = Counter(self.effects.values())
        return "\n".join(f"{step}: called {calls}x, done {effects[step]}x" for step, calls in self.calls.items())


class _Desk(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Shop)
        _, step, key = self.path.split("/")
        self.server.serve(step, key)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@contextmanager
def open_shop() -> Generator[Shop]:
    with Shop() as shop:
        Thread(target=shop.serve_forever, daemon=True).start()
        try:
            yield shop
        finally:
            shop.may_answer.set()
            shop.shutdown()


def call_shop(url: str, step: str, *, key: str) -> None:
    urllib.request.urlopen(f"{url}/{step}/{key}", timeout=60).close()
