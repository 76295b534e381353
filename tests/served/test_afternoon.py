"""An afternoon of a team with a served repository: the whole story, with the command line alone."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import in_process
from tests.support.checks import check
from tests.support.commands import Result, environment
from tests.support.folders import make_tree
from tests.support.served import Asking
from tests.support.servers import free_port
from tests.support.trouble import MAIN, finish, start

SECRET = "the weights that cost a month"


class Member:
    """Somebody of the team, with a home of their own."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        self.folder, self.url = folder, url

    def run(self, *args: Any, code: int = 0, cwd: str = "", stdin: str | None = None) -> Result:
        """A command that ends with this code."""
        words, told = [*map(str, args)], environment(self.folder)
        if stdin is None:
            result = Result(in_process.run(words, self.folder / cwd, told))
        else:
            command = [sys.executable, "-c", MAIN, *words]
            result = Result(
                subprocess.run(command, cwd=self.folder / cwd, env=told, input=stdin, capture_output=True, text=True)
            )
        assert "Traceback" not in result.err, result
        assert result.code == code, (args, result)
        return result

    def login(self, token: str) -> None:
        self.run("login", self.url, "--token-stdin", stdin=token)

    def save(self, cwd: str, text: str, **more: str) -> None:
        source = make_tree(self.folder / "work", {"weights": text, "readme": self.folder.name})
        self.run("put", source, "-n", "vision/model", cwd=cwd, **more)


class Served:
    """The server, which can be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process: Any = None

    def start(self) -> None:
        self.process = start(self.folder, "serve", "--listen", self.url.removeprefix("http://"))
        assert self.process.stdout.readline().startswith(self.url)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert finish(self.process).code == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "server")
    yield served
    if served.process is not None and served.process.poll() is None:
        served.kill()
    check(served.folder / ".artifacts")


def test_an_afternoon_of_a_team(tmp_path: Path, served: Served) -> None:
    # The admin saves a first model and a secret project, and gives out tokens.
    admin = Member(served.folder, served.url)
    admin.run("init")
    make_tree(admin.folder / "first", {"weights": SECRET})
    admin.run("put", "first", "-n", "vision/model", "-t", "model")
    admin.run("put", "first", "-n", "merger/plan")
    tokens = {}
    for name, role in (("ann", "writer"), ("bob", "writer"), ("pat", "promoter"), ("vic", "viewer")):
        told = admin.run("token", "create", name, "--role", role, "--project", "vision", "--expires", "30d", "--json")
        tokens[name] = json.loads(told.out)["token"]
    served.start()
    ann, bob, pat, vic = (Member(tmp_path / name, served.url) for name in tokens)
    for member, name in ((ann, "ann"), (bob, "bob"), (pat, "pat"), (vic, "vic")):
        member.login(tokens[name])

    # Two writers push and race on one collection.
    for member in (ann, bob):
        member.run("clone", served.url, "work.clone")
        assert (member.folder / "work.clone/.artifacts").is_dir()
    for turn in range(3):
        for member in (ann, bob):
            member.save("work.clone", f"{member.folder.name} {turn}")
        pushes = [start(one.folder / "work.clone", "push", HOME=str(one.folder)) for one in (ann, bob)]
        for done in map(finish, pushes):
            if done.code != 0:  # the other was first with this number: pull, and push again
                assert "pull" in done.err, done
        for member in (ann, bob):
            member.run("pull", cwd="work.clone")
            member.run("push", cwd="work.clone")
            member.run("pull", cwd="work.clone")
    there = json.loads(admin.run("log", "vision/model", "--json").out)
    assert len(there) == 7 and sorted(version["author"] or "" for version in there) == ["", *["ann"] * 3, *["bob"] * 3]

    # A promoter moves prod; a writer can't.
    refused = _alias(ann, "model:v0", "prod", code=6)
    assert "promoter" in refused.err
    pat.run("clone", served.url, "work.clone")
    _alias(pat, "model:v2", "prod")
    assert "prod" in admin.run("show", "vision/model:v2").out

    # A viewer looks at everything, and gets no byte of a file.
    for words in (["ls"], ["ls", "vision/model:prod"], ["show", "vision/model:prod"], ["log", "vision/model"]):
        assert SECRET not in vic.run(*words, "--from", served.url).out
    for words in (
        ["cat", "vision/model:v0", "weights"],
        ["get", "vision/model:v0"],
        ["export", "vision/model:v0", "-o", "x.tar"],
    ):
        told = vic.run(*words, "--from", served.url, code=6)
        assert "viewer" in told.err and SECRET not in told.out + told.err
    vic.run("clone", served.url, "mine", code=6)
    by_hand = Asking(served.url, tokens["vic"])  # where no client of ours refuses
    version = there[0]["id"]
    for answer in (
        by_hand.post("/objects", through=[["refs/local/vision/model", [version]]], digests=[version]),
        by_hand.get(f"/blobs/{version}?log=refs/local/vision/model&id={version}"),
        by_hand.post("/transactions"),
    ):
        assert answer[0] == 403 and "viewer" in answer[1]["error"]
    hidden, absent = (vic.run("ls", f"{one}/plan", "--from", served.url, code=4).err for one in ("merger", "absent"))
    assert hidden.replace("merger", "absent") == absent
    assert "merger" not in vic.run("ls", "--from", served.url).out

    # Ann's token is stolen: the thief reads and adds, loses nothing of anybody, and is out with the next request.
    thief = Member(tmp_path / "thief", served.url)
    thief.login(tokens["ann"])
    thief.run("clone", served.url, "work.clone")
    thief.save("work.clone", "poisoned")
    thief.run("push", cwd="work.clone")
    thief.run("rm", "vision/model:v0", cwd="work.clone")
    assert "admin" in thief.run("push", cwd="work.clone", code=6).err
    admin.run("token", "revoke", "ann")
    assert "revoked" in thief.run("pull", cwd="work.clone", code=9).err
    done = json.loads(admin.run("audit", "--token", "ann", "--json").out)
    poisoned = [one for one in done if one["operation"] == "append" and "v7" in (one["subject"] or "")]
    assert poisoned and poisoned[-1]["outcome"] == "201"
    admin.run("rm", "vision/model:v7")
    again = json.loads(admin.run("token", "create", "ann", "--role", "writer", "--project", "vision", "--json").out)
    ann.login(again["token"])
    ann.run("pull", cwd="work.clone")
    assert "v7" not in ann.run("log", "vision/model", cwd="work.clone").out

    # The server is killed in the middle of a push, and starts again: what it acknowledged is there.
    (ann.folder / "large").mkdir()
    (ann.folder / "large/weights").write_bytes(b"w" * (64 << 20))
    ann.run("put", "../large", "-n", "vision/model", cwd="work.clone")
    push = start(ann.folder / "work.clone", "push", HOME=str(ann.folder))
    time.sleep(0.7)
    served.kill()
    finish(push)
    check(served.folder / ".artifacts")
    served.start()
    ann.run("push", cwd="work.clone")
    bob.run("pull", cwd="work.clone")
    bob.run("get", "vision/model:latest", "--root", "out", cwd="work.clone")
    assert (bob.folder / "work.clone/out/weights").stat().st_size == 64 << 20

    # The audit tells it all, and its chain is whole.
    served.stop()
    told = json.loads(admin.run("audit", "--json").out)
    assert {one["token"] for one in told} >= {"ann", "bob", "pat", "vic"}
    assert any(one["operation"] == "download" and "prod" in (one["subject"] or "") for one in told)
    assert any(one["token"] == "vic" and one["outcome"] == "403" for one in told)
    assert any("alias prod" in (one["subject"] or "") and one["token"] == "pat" for one in told)
    assert not any(token in json.dumps(told) for token in tokens.values())
    admin.run("audit", "--check")
    assert admin.run("fsck").code == 0
    shutil.rmtree(served.folder / "first")


def _alias(member: Member, version: str, alias: str, code: int = 0) -> Result:
    """Move an alias here, and push it."""
    member.run("pull", cwd="work.clone")
    member.run("alias", f"vision/{version}", alias, cwd="work.clone")
    return member.run("push", cwd="work.clone", code=code)
