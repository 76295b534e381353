"""Webhooks: what is posted, signatures and secrets, servers that fail, redirects."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api import automations as w
from artstore.operations.automation.worker import perform, read_log
from artstore.repository import Repository
from tests.support.automations import RunIs, automate, outcomes, save, until
from tests.support.folders import make_tree
from tests.support.servers import free_port


class Server:
    """A web server that notes what it is sent, and answers by order."""

    def __init__(self, *answers: tuple[int, dict[str, str]], slow: float = 0) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        outer, planned = self, list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if slow:
                    time.sleep(slow)
                status, headers = planned.pop(0) if planned else (200, {})
                self.send_response(status)
                for key, value in ({"Content-Length": "0"} | headers).items():
                    self.send_header(key, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


EVENT = {
    "event": "ADD_ARTIFACT_ALIAS", "entity": "e", "project": "p", "collection": 'quo"te', "type": "model", "version": "v3",
    "spec": 'e/p/quo"te:v3', "id": "abc", "alias": "prod", "user": "me", "metadata": {"stage": 'a"}, {"', "n": 1.5, "l": [1]},
}  # fmt: skip


def deliver(action: w.SendWebhook, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any] = EVENT) -> str:
    """The outcome, with short breaks between tries."""
    monkeypatch.setattr("artstore.operations.automation.webhooks.RETRY_AFTER", (0.01, 0.01))
    rule = {"id": "1", "name": "hook", "action": action.told()}
    return perform(rule, event, "/nowhere/.artifacts", 1)[0]


def test_a_webhook_posts_the_event_from_a_process_of_its_own(home: Path) -> None:
    with Server() as server:
        automate(w.SendWebhook(server.url))
        save(metadata={"a": 1})
        assert [line["outcome"] for line in outcomes()] == ["ok"]
        ((verb, path, headers, body),) = server.requests
    event = json.loads(body)
    assert (verb, path, headers["content-type"]) == ("POST", "/hook", "application/json")
    assert event["spec"] == "local/uncategorized/data:v0" and event["metadata"] == {"a": 1}
    assert "authorization" not in headers and "x-wandb-signature" not in headers


def test_a_body_is_signed_and_secrets_are_nowhere_else(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, token = f"s-{os.urandom(8).hex()}", f"t-{os.urandom(8).hex()}"
    monkeypatch.setenv("HOOK_SECRET", secret)
    monkeypatch.setenv("HOOK_TOKEN", token)
    seen: list[bytes] = []
    with Server(slow=0.3) as server:
        automate(w.SendWebhook(server.url, secret_env="HOOK_SECRET", token_env="HOOK_TOKEN"))
        save()
        until(lambda: server.requests)
        for entry in os.listdir("/proc"):
            try:
                seen.append(Path(f"/proc/{entry}/cmdline").read_bytes())
            except OSError:
                continue
        assert [line["outcome"] for line in outcomes()] == ["ok"]
        ((_, _, headers, body),) = server.requests
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-wandb-signature"] == signature and headers["authorization"] == f"Bearer {token}"
    for folder in (tmp_path / "config", tmp_path / "state", home):
        seen += [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    assert not any(value.encode() in text for value in (secret, token) for text in (*seen, body))


def test_a_secret_that_is_not_set_sends_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as server:
        for action in (w.SendWebhook(server.url, secret_env="NO_SUCH"), w.SendWebhook(server.url, token_env="NO_SUCH")):
            assert deliver(action, monkeypatch) == "NO_SUCH is not set in the environment"
        assert server.requests == []


@pytest.mark.parametrize("token", ["secret\nvalue", "secret\r\nX-Evil: 1", "secret\u2603value"])
def test_a_token_that_can_t_be_sent_is_not_told_to_the_log(
    home: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", token)
    with Server() as server:
        outcome = deliver(w.SendWebhook(server.url, token_env="HOOK_TOKEN"), monkeypatch)
        assert not any("x-evil" in headers for _, _, headers, _ in server.requests)
    assert outcome != "ok" and "secret" not in outcome and "secret" not in json.dumps(read_log())


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_server_that_fails_is_asked_again(home: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with Server((status, {}), (status, {})) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == "ok"
        assert len(server.requests) == 3 and len({body for *_, body in server.requests}) == 1
    with Server(*[(status, {})] * 9) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == f"the server answered {status}"
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_server_that_refuses_is_not_asked_again(home: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with Server((status, {})) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == f"the server answered {status}"
        assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_noted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    outcome = deliver(w.SendWebhook(f"http://127.0.0.1:{port}/x?key=hidden"), monkeypatch)
    assert f"127.0.0.1:{port} can't be reached" in outcome and "hidden" not in outcome
    assert [line["outcome"] for line in read_log()] == [outcome]


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_is_followed_as_a_post_without_a_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with Server() as target, Server((status, {"Location": target.url})) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == "ok"
        ((verb, _, _, body),) = target.requests
        assert verb == "POST" and body == server.requests[0][3]


@pytest.mark.parametrize("given", ["secret_env", "token_env"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_with_a_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: int, given: str
) -> None:
    monkeypatch.setenv("HOOK", "hidden")
    with Server() as target, Server((status, {"Location": target.url})) as server:
        outcome = deliver(w.SendWebhook(server.url, **{given: "HOOK"}), monkeypatch)
        assert str(status) in outcome and target.requests == [] and len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303])
def test_other_redirects_do_not_turn_a_post_into_a_get(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with Server() as target, Server((status, {"Location": target.url})) as server:
        assert str(status) in deliver(w.SendWebhook(server.url), monkeypatch)
        assert target.requests == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "//[", "http://["])
def test_a_redirect_to_what_is_no_web_address_is_not_followed(
    home: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    with Server((307, {"Location": target})) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) != "ok"
        assert len(server.requests) == 1


def test_a_circle_of_redirects_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(*[(307, {"Location": "/hook"})] * 99) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == "the server answered 307"
        assert len(server.requests) <= 10


def test_a_payload_is_filled_in_and_stays_json_whatever_the_values(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = {
        "event": "${event_type} by ${event_author}",
        "what": ["${artifact_collection_name}", "${artifact_version_string}", {"deep": "${alias}"}],
        "home": "${entity_name}/${project_name}",
        "meta": "${artifact_metadata.stage}|${artifact_metadata.n}|${artifact_metadata.l}",
        "absent": "[${artifact_metadata.none}${tag}${no_such}]",
        "as it is": ["$alias", "${", "{alias}", 1, None, True],
    }
    with Server() as server:
        assert deliver(w.SendWebhook(server.url, payload), monkeypatch) == "ok"
        body = json.loads(server.requests[0][3])
    assert body == {
        "event": "ADD_ARTIFACT_ALIAS by me",
        "what": ['quo"te', 'e/p/quo"te:v3', {"deep": "prod"}],
        "home": "e/p",
        "meta": 'a"}, {"|1.5|[1]',
        "absent": "[]",
        "as it is": ["$alias", "${", "{alias}", 1, None, True],
    }


def test_what_was_filled_in_is_not_filled_in_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "hidden")
    event = EVENT | {"metadata": {"stage": "${ACCESS_TOKEN}"}, "alias": "${ACCESS_TOKEN}"}
    with Server() as server:
        action = w.SendWebhook(server.url, {"a": "${artifact_metadata.stage} ${alias}"}, token_env="HOOK")
        assert deliver(action, monkeypatch, event) == "ok"
        assert json.loads(server.requests[0][3]) == {"a": "${ACCESS_TOKEN} ${ACCESS_TOKEN}"}


def test_a_payload_of_a_run_has_its_names(home: Path) -> None:
    with Server() as server:
        payload = {
            "t": "${event_type} ${project_name} ${run_id} ${run_name} ${run_state} [${artifact_collection_name}]"
        }
        automate(w.SendWebhook(server.url, payload), event=w.OnRunState(filter=RunIs("failed")))
        wandb.init(project="p", id="r", name="n").finish(exit_code=1)
        outcomes()
        assert json.loads(server.requests[0][3]) == {"t": "RUN_STATE p r n failed []"}


def test_a_slow_server_does_not_slow_down_a_save(home: Path) -> None:
    def quickest(name: str) -> float:
        """Of five saves: what else the machine does only adds to them."""
        make_tree(Path("src"), {"f": "0"})
        with Repository(".artifacts") as repository:

            def save(number: int) -> float:
                Path("src/f").write_text(f"{name} {number}")
                started = time.monotonic()
                repository.put("src", name)
                return time.monotonic() - started

            return min(map(save, range(5)))

    started = time.monotonic()
    subprocess.run([sys.executable, "-c", ""], check=True)
    process, without = time.monotonic() - started, quickest("without")
    with Server(slow=0.5) as server:
        automate(w.SendWebhook(server.url))
        took = quickest("with")
        outcomes(5)
    assert took - without < 0.03 + process
