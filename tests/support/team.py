"""A repository of a team for tests of the pages: a project that some see, one that they don't, and what leads across.

Every file has marks, which nobody may find who can only look. Names of what is hidden begin with `zq`.

python -m tests.support.team FOLDER
"""

import hashlib
import html
import http.client
import json
import os
import re
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from artstore.domain.digest import plain_digest
from artstore.domain.roles import Role
from artstore.domain.tree import DIRECTORY, REFERENCE
from artstore.repository import Repository
from tests.support.served import Server

MARK = re.compile(rb"mark-[0-9a-f]{16}")
HIDDEN = re.compile(rb"zq[a-z]{4,}")


def mark(name: str) -> str:
    """What no page may show of a file to who can only look."""
    return f"mark-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def make(folder: Path) -> None:
    """Make the repository, by the script below and some changes by hand."""
    os.chdir(folder)
    os.environ |= {"ARTSTORE_DIR": str(folder / ".artifacts"), "WANDB_SILENT": "true"}
    _files(folder / "data")
    _runs(folder)
    with Repository.init(str(folder / ".artifacts")) as repository:
        repository.put("data", "seen/leaving")
        repository.rename("seen/leaving", "zqhidden/zqleft")
        for number in range(2):
            Path("away.table.json").write_text(json.dumps({"_type": "table", "columns": ["key"], "data": [[number]]}))
            repository.put(f"file://{folder}/away.table.json", "seen/referring")
        repository.put("data", "zqhidden/zqcoming", description="hush: who finds this sees too much")


def _files(data: Path) -> None:
    import numpy as np
    from PIL import Image

    from tests.support.media import wav

    (data / "deep").mkdir(parents=True)
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(data / "picture.png")
    wav(str(data / "bell.wav"), 0.1)
    (data / "clip.mp4").write_bytes(b"\0\0\0\x20ftypisom" + mark("clip").encode() + bytes(range(256)) * 8)
    (data / "drawing.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg"><text>{mark("svg")}</text></svg>')
    (data / "page.html").write_text(f"<p>{mark('html')}</p>")
    (data / "README.md").write_text(f"# Read me\n\n{mark('readme')} ![a picture](picture.png)\n")
    (data / "labels.csv").write_text(f"name,label\n{mark('csv')},1\n")
    (data / "meta.json").write_text(json.dumps({"told": mark("json")}))
    (data / "table.table.json").write_text(
        json.dumps({"_type": "table", "columns": ["key", "text"], "data": [[1, mark("row")], [2, "x"]], "nrows": 2})
    )
    (data / "deep/code.py").write_text(f"print('{mark('code')}')\n")
    (data / "big.bin").write_bytes(mark("big").encode() + bytes(2 << 20))


def _runs(folder: Path) -> None:
    import numpy as np

    import artstore as wandb

    picture = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    with wandb.init(project="zqhidden", id="zqmaker", name="zqmaker") as run:
        secret = wandb.Artifact("zqsecret", "dataset", metadata={"hush": "hush"})
        secret.add_dir("data")
        run.log_artifact(secret, aliases=["zqalias"])
        run.link_artifact(secret, "registry-shared/shown")
        run.log({"loss": 1.0})
    long = f"A long story ![of a picture](picture.png). {'It goes on. ' * 500}"
    with wandb.init(project="seen", id="trainer", config={"rate": 0.1}) as run:
        run.use_artifact("zqhidden/zqsecret:zqalias")
        for step in range(5):
            run.log({"loss": 1 / (step + 1), "picture": wandb.Image(picture, caption=f"step {step}")})
        run.log(
            {"table": wandb.Table(columns=["text"], data=[[mark("logged")]]), "page": wandb.Html(mark("logged html"))}
        )
        (folder / "notes.txt").write_text(mark("notes"))
        run.save(str(folder / "notes.txt"), base_path=str(folder))
        print(mark("console"))
        made = wandb.Artifact("data", "dataset", description=long, metadata={"story": "told " * 2000, "rows": 2})
        made.add_dir("data")
        made.add(wandb.Image(picture), "added")
        for path, entry in made.manifest.entries.items():
            entry.extra["keys"] = f"of {path} {'x' * 500}"
        run.log_artifact(made, aliases=["good"])
        run.summary["best"] = wandb.Image(picture)
    (folder / "data/table.table.json").write_text(
        json.dumps({"_type": "table", "columns": ["key", "text"], "data": [[1, mark("new row")]], "nrows": 1})
    )
    with wandb.init(project="seen", id="second") as run:
        run.use_artifact("data:good")
        changed = wandb.Artifact("data", "dataset")
        changed.add_dir("data")
        run.log_artifact(changed, aliases=["good"])
        run.log({"loss": 0.5})
    with wandb.init(project="zqhidden", id="zquser", name="zquser") as run:
        run.use_artifact("seen/data:v0")
        result = wandb.Artifact("zqresult", "dataset")
        result.add_file("data/labels.csv")
        run.log_artifact(result)


def needles(root: Path) -> dict[bytes, str]:
    """What only who may open files may find: parts of each file and its digests, each with the file's name."""
    found: dict[bytes, str] = {}
    with Repository(str(root)) as repository:
        for name, data in _contents(repository):
            for needle in {*MARK.findall(data), *_parts(data), *_digests(data)}:
                found[needle] = name
    return found


def _contents(repository: Repository) -> Iterator[tuple[str, bytes]]:
    for state in repository.collections():
        for version in state.live():
            found = repository.find(f"{state.path}:v{version['number']}")
            for path, entry in repository.walk(found.tree):
                if entry.kind not in (DIRECTORY, REFERENCE):
                    yield f"{found.name} {path!r}", b"".join(repository.content(entry))
    for run in repository.runs.all():
        for name in repository.run_files(run):
            with repository.open_run_file(run, name) as file:
                yield f"{run.path} {name}", file.read()


def _parts(data: bytes) -> Iterator[bytes]:
    part = data[len(data) // 2 :][:24]
    if len(data) >= 64:
        yield part
        yield html.escape(part.decode("latin-1")).encode("latin-1")


def _digests(data: bytes) -> Iterator[bytes]:
    digests: list[Any] = [plain_digest(data), *(hashlib.new(name, data).digest() for name in ("md5", "sha1", "sha256"))]
    for digest in digests:
        yield digest.hex().encode()
        yield digest.hex()[:20].encode()  # as W&B names media
        yield b64encode(digest).rstrip(b"=")
        yield urlsafe_b64encode(digest).rstrip(b"=")


# -- who visits the pages --


class Answer(NamedTuple):
    """What a page answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """A header, or an empty text."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def told(self) -> str:
        """All that is told, but for the time."""
        headers = [(name, value) for name, value in self.headers if name.lower() != "date"]
        return f"{self.status} {headers} {self.body.decode('utf-8', 'replace')}"

    def whole(self) -> bytes:
        """Headers and body."""
        return str(self.headers).encode() + self.body


class Visitor:
    """Somebody with a browser, who keeps its connection and cookies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookie = ""
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        own = {"Cookie": self.cookie} if self.cookie else {}
        try:
            self._connection.request(method, path, body, own | named)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):  # it was idle
            self._connection.close()
            self._connection.request(method, path, body, own | named)
            response = self._connection.getresponse()
        answer = Answer(response.status, response.getheaders(), response.read())
        if given := answer.header("set-cookie"):
            self.cookie = given.split(";")[0]
        return answer

    def ask_raw(self, method: str, path: str, headers: list[tuple[str, str]]) -> Answer:
        """A request whose headers are sent as they are, also twice."""
        self._connection.putrequest(method, path)
        for name, value in headers:
            self._connection.putheader(name, value)
        self._connection.endheaders()
        response = self._connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def send(self, path: str, _from: str | None = None, **fields: str) -> Answer:
        """Send a form, from a page of the server or of another origin."""
        return self.ask("POST", path, urlencode(fields), Origin=_from or self.url)

    def close(self) -> None:
        self._connection.close()


class Team:
    """A server, and who visits its pages."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.folder, self.root, self.url = server.folder, server.root, server.url
        self._visitors: list[Visitor] = []

    def stranger(self) -> Visitor:
        """Somebody who isn't logged in."""
        self._visitors.append(found := Visitor(self.url))
        return found

    def visitor(self, name: str, role: Role, *projects: str) -> Visitor:
        """Somebody with a new token, who logs in."""
        found = self.stranger()
        answer = found.send("/login", token=self.server.token(name, role, *projects).secret or "")
        assert answer.status == 303, answer.body
        return found

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, *_: object) -> None:
        for visitor in self._visitors:
            visitor.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
