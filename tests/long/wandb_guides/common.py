"""What all parts of the guides use: small helpers, and a server that stands for the web."""

import json
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import artstore as wandb


def section(title: str) -> None:
    print(f"\n# {title}")


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return path


def paths(artifact: Any) -> str:
    return " ".join(sorted(str(path) for path in artifact.manifest.entries))


def contents(root: str) -> dict[str, str]:
    """Text of each file below a folder."""
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_text() for path in files}


def names(things: Iterable[Any]) -> list[str]:
    return sorted(thing.name for thing in things)


def ids(runs: Iterable[Any]) -> list[str]:
    return [run.id for run in runs]


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def refusal(expected: type[Exception], action: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """What a guide says is raised; anything else ends the script."""
    try:
        action(*args, **kwargs)
    except expected:
        return expected.__name__
    return f"no {expected.__name__}"


# -- the web: files with and without an ETag, and a place to post to --

SERVED: dict[str, tuple[bytes, str | None]] = {}
POSTED: list[dict[str, Any]] = []


class Web(BaseHTTPRequestHandler):
    def answer(self, code: int, body: bytes = b"", etag: str | None = None) -> None:
        self.send_response(code)
        if etag is not None:
            self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path in SERVED:
            self.answer(200, *SERVED[self.path])
        else:
            self.answer(404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        POSTED.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(200)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def arrived(count: int) -> list[str]:
    """What has been posted since the last call, once it is that much, or after ten seconds."""
    deadline = time.monotonic() + 10
    while len(POSTED) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    posts, POSTED[:] = POSTED[:], []
    return sorted(as_json(post) for post in posts)


server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
server.handle_error = lambda request, client_address: None  # a client that hangs up is none of the guides' business
listening = threading.Thread(target=server.serve_forever, daemon=True)
listening.start()
web = f"http://127.0.0.1:{server.server_address[1]}"

api = wandb.Api()
