"""What the server gives to whom: by role, by project, and only what is reached through what may be read."""

import json

from artstore.domain.codec import encode_json
from artstore.domain.digest import BLOB, TREE, VERSION, from_hex
from tests.support.matrix import BIG, SECRET
from tests.support.served import Asking, Server

VISION, HIDDEN = "refs/local/vision/data", "refs/local/hidden/data"


def _version(asker: Asking) -> dict[str, str]:
    """The only version of vision/data."""
    _, found = asker.post("/collections", entity="local", project="vision", name="data")
    return dict(found[0][0]["versions"][0])


def test_without_a_token_nothing_is_told_but_that_it_takes_one(server: Server) -> None:
    for stranger in (server.stranger(), server.stranger("art_00000000_" + "x" * 43), server.stranger("x")):
        for method, path in (("GET", ""), ("POST", "/heads"), ("POST", "/objects"), ("PUT", "/entry")):
            status, told = stranger.ask(method, path, {})
            assert status == 401 and told["kind"] == "AuthenticationError" and "local" not in told["error"]


def test_a_reader_gets_logs_and_objects_of_their_projects_alone(askers: dict[str, Asking]) -> None:
    reader = askers["reader"]
    assert reader.post("/heads", under=["refs", "runs"]) == (200, [[VISION, 1], ["runs/local/vision/r", 2], ["end"]])
    version = _version(reader)
    through = [[VISION, [version["id"]]]]
    status, found = reader.post("/objects", through=through, digests=[version["id"], version["digest"]])
    assert status == 200 and sorted(kind for kind, *_ in found[:-1]) == [TREE, VERSION] and found[-1] == ["end"]
    _, files = reader.post("/listing", folder=VISION, id=version["id"])
    digests = {path: digest for path, _, _, digest in files[:-1]}
    _, small = reader.post("/objects", through=through, digests=[digests[b"deep/label"].hex()])
    assert small == [[BLOB, digests[b"deep/label"], SECRET], ["end"]]
    big = digests[b"big.bin"].hex()
    _, large = reader.post("/objects", through=through, digests=[big])
    assert large == [[BLOB, digests[b"big.bin"], len(BIG) + 6], ["end"]], "its size: it is asked for alone"
    where = f"/blobs/{big}?log={VISION}&id={version['id']}"
    assert reader.get(where) == (200, b"vision" + BIG)
    assert reader.get(where, Range="bytes=4-9") == (206, b"onlarg")
    assert reader.get(where, Range="bytes=-3") == (206, BIG[-3:])
    assert reader.get(where, Range=f"bytes={len(BIG) + 6}-") == (416, b""), "and not everything from its begin"
    assert reader.get(where, Range="bytes=4-9", If_Range='"x"')[0] == 200


def test_what_may_not_be_seen_is_answered_as_what_is_not_there(askers: dict[str, Asking]) -> None:
    for role in ("viewer", "reader", "writer", "promoter"):
        asker = askers[role]
        for project in ("hidden", "absent"):
            folder = f"refs/local/{project}/data"
            answers = [
                asker.post("/collections", entity="local", project=project, name="data"),
                asker.post("/log", folder=folder),
                asker.post("/listing", folder=folder, id="0" * 64),
                asker.post("/objects", through=[[folder, ["0" * 64]]], digests=["0" * 64]),
                asker.post("/entries", logs=[[folder, 1, None]]),
                asker.post("/history", run=f"runs/local/{project}/r"),
            ]
            told = json.loads(json.dumps(answers, default=repr).replace(project, "PROJECT"))
            if project == "hidden":
                before = told
        assert told == before, "two projects are told apart, of which neither may be seen"


def test_an_object_is_given_only_through_a_version_that_has_it(askers: dict[str, Asking]) -> None:
    reader, admin = askers["reader"], askers["admin"]
    mine = _version(reader)
    _, theirs = admin.post("/collections", entity="local", project="hidden", name="data")
    other = theirs[0][0]["versions"][0]
    _, files = admin.post("/listing", folder=HIDDEN, id=other["id"])
    digests = [digest.hex() for path, _, _, digest in files[:-1] if path != b"deep/label"]
    wanted = [*digests, other["id"], other["digest"], "0" * 64]
    _, found = reader.post("/objects", through=[[VISION, [mine["id"]]]], digests=wanted)
    assert found == [*([0, from_hex(digest), None] for digest in dict.fromkeys(wanted)), ["end"]]
    for digest in digests:
        assert reader.get(f"/blobs/{digest}?log={VISION}&id={mine['id']}")[0] == 404
        assert reader.get(f"/blobs/{digest}?log={HIDDEN}&id={other['id']}")[0] == 404
    assert reader.post("/objects", through=[[VISION, [other["id"]]]], digests=[other["id"]])[0] == 404


def test_a_viewer_sees_names_sizes_and_metadata_and_gets_no_byte_of_a_file(askers: dict[str, Asking]) -> None:
    viewer = askers["viewer"]
    version = _version(viewer)
    _, files = viewer.post("/listing", folder=VISION, id=version["id"])
    listed = [[b"big.bin", 0, len(BIG) + 6, None], [b"deep/label", 0, len(SECRET), None], [b"train.csv", 0, 7, None]]
    assert files == [*listed, ["end"]]
    _, inside = viewer.post("/listing", folder=VISION, id=version["id"], prefix="deep")
    assert inside == [listed[1], ["end"]]
    blob = version["description"]["blob"]  # type: ignore[index]
    _, long = viewer.post("/objects", through=[[VISION, []]], digests=[blob])
    assert long[0][2].startswith(b"a long story of vision")
    _, reader_files = askers["reader"].post("/listing", folder=VISION, id=version["id"])
    for digest in (version["id"], version["digest"], *(one[3].hex() for one in reader_files[:-1])):
        assert viewer.post("/objects", through=[[VISION, [version["id"]]]], digests=[digest])[0] == 403
        assert viewer.post("/objects", through=[[VISION, []]], digests=[digest])[1][0][2] is None
        assert viewer.get(f"/blobs/{digest}?log={VISION}&id={version['id']}")[0] == 403
    for method, path in (("POST", "/heads"), ("POST", "/entries"), ("POST", "/transactions"), ("PUT", "/entry")):
        assert viewer.ask(method, path, {"under": ["refs"], "logs": [[VISION, 1, None]]})[0] == 403


def test_requests_that_are_malformed_are_refused_in_a_sentence(askers: dict[str, Asking]) -> None:
    admin = askers["admin"]
    wrong: list[tuple[str, object]] = [
        ("/heads", {"under": "refs"}), ("/heads", {}), ("/heads", b"[]"), ("/heads", b"{"), ("/heads", b"[" * 100_000),
        ("/heads", {"under": ["refs/../tokens"]}), ("/entries", {"logs": [["refs/local/vision/data"]]}),
        ("/entries", {"logs": [["refs/local/vision/../hidden/data", 1, None]]}),
        ("/entries", {"logs": [["tmp/local/vision/data", 1, None]]}),
        ("/entries", {"logs": [["refs/local/vision/DATA", 1, None]]}),
        ("/objects", {"through": [], "digests": ["x"]}), ("/objects", {"through": "all", "digests": []}),
        ("/objects", {"through": [[VISION, [1]]], "digests": []}), ("/objects", {"digests": [1], "through": []}),
        ("/listing", {"folder": VISION, "id": 3}), ("/collections", {"name": "data"}),
        ("/collections", {"entity": "a/b", "project": "..", "name": "data"}),
    ]  # fmt: skip
    for path, body in wrong:
        status, told = admin.ask("POST", path, body)
        assert status in (400, 404) and told["error"], (path, body, told)
    status, told = admin.ask("POST", "/heads", encode_json({"under": ["x" * (17 << 20)]}))
    assert status == 413 and told["kind"] == "InvalidValue"
