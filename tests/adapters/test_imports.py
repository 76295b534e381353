"""`artstore import`: repositories that the other tools made, beside what comes of them."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from artstore.adapters import wandb_offline
from artstore.adapters.importing import iso
from artstore.adapters.wandb_offline import records
from artstore.domain.run import RunPath
from artstore.errors import Damage
from artstore.repository import Repository
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree, snapshot

MADE = Path(__file__).parent / "imports"


def unpacked(tool: str, into: Path) -> Path:
    archive = next(MADE.glob(f"{tool}-*.tar.gz"))
    with tarfile.open(archive) as file:
        file.extractall(into, filter="tar")
    return into / tool


def imported(cli: Cli, *arguments: str) -> tuple[dict[str, str], dict[str, str]]:
    """What is new, and what was left: by what it was called there."""
    done = cli("import", *arguments, "--json")
    told = json.loads(done.out)
    assert done.code == (0 if told["taken"] else 4), done
    return {one["source"]: one["name"] for one in told["taken"] if one["new"]}, {
        one["source"]: one["reason"] for one in told["left"]
    }


def same(got: Path, original: Path) -> bool:
    """As rsync sees two folders: by content, nothing missing, nothing more."""
    done = subprocess.run(
        ["rsync", "-rni", "--delete", "--checksum", f"{original}/", f"{got}/"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout == ""


# -- DVC --


@pytest.fixture
def dvc(tmp_path: Path) -> Path:
    return unpacked("dvc", tmp_path)


def test_each_content_at_a_tag_of_dvc_becomes_a_version(dvc: Path, repo: Repository, cli: Cli, tmp_path: Path) -> None:
    taken, left = imported(cli, "dvc", "dvc")
    assert taken == {
        "data at v1.0": "local/dvc/data:v0", "model.bin at v1.0": "local/dvc/model.bin:v0", "data at lost": "local/dvc/data:v1",
        "model.bin at release/2": "local/dvc/model.bin:v1", "counts/out.txt at release/2": "local/dvc/counts-out.txt:v0",
    }  # fmt: skip
    assert list(left) == ["model.bin at lost", "uncached.txt at release/2"]
    assert "dvc fetch" in left["model.bin at lost"]
    found = repo.find("dvc/data:v1.0")
    assert found.version["number"] == 0 and found.version["metadata"]["dvc"]["date"].startswith("2024-01-01T10:00:00")
    assert repo.find("dvc/data:release-2").version["number"] == 1, "the same content at several tags is one version"


@pytest.mark.skipif(
    subprocess.run(["which", "rsync"], capture_output=True).returncode != 0, reason="there is no rsync here"
)
def test_versions_from_dvc_are_what_dvc_would_check_out(dvc: Path, repo: Repository, cli: Cli, tmp_path: Path) -> None:
    imported(cli, "dvc", "dvc", "--project", "moved")
    for tag, output in (("v1.0", "data"), ("release/2", "data")):
        original = tmp_path / "original" / tag / output
        md5 = (
            subprocess.run(["git", "show", f"{tag}:{output}.dvc"], cwd=dvc, capture_output=True, text=True, check=True)
            .stdout.split("md5: ")[1]
            .split()[0]
        )
        for entry in json.loads((dvc / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).read_text()):
            place = original / entry["relpath"]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((dvc / ".dvc/cache/files/md5" / entry["md5"][:2] / entry["md5"][2:]).read_bytes())
        alias = tag.replace("/", "-")
        assert cli("get", f"moved/data:{alias}", "--root", f"got-{alias}").code == 0
        assert same(tmp_path / f"got-{alias}", original)
    assert same(tmp_path / "got-release-2", dvc / "data"), "and what lies in the working folder"


def test_a_second_import_of_dvc_adds_nothing(dvc: Path, cli: Cli) -> None:
    imported(cli, "dvc", "dvc")
    taken, left = imported(cli, "dvc", "dvc")
    assert taken == {} and len(left) == 2
    assert "imported 0 versions and 0 runs; 6 already here, 2 skipped" in cli("import", "dvc", "dvc").out


def test_every_commit_of_dvc_is_taken_when_asked_for(dvc: Path, cli: Cli) -> None:
    taken, _ = imported(cli, "dvc", "dvc", "--commits")
    assert len(taken) == 5 and taken["data at v1.0"].endswith("data:v0")


def test_a_dvc_folder_without_git_is_taken_as_it_is(dvc: Path, cli: Cli) -> None:
    (dvc / ".git").rename(dvc.parent / "git-is-gone")
    taken, left = imported(cli, "dvc", "dvc")
    assert sorted(taken.values()) == ["local/dvc/counts-out.txt:v0", "local/dvc/data:v0", "local/dvc/model.bin:v0"]
    assert list(left) == ["uncached.txt at the working folder"]


def test_a_damaged_cache_of_dvc_is_told(dvc: Path, cli: Cli) -> None:
    for place in (dvc / ".dvc/cache/files/md5").rglob("*"):
        if place.is_file() and place.read_bytes() == b"m1":
            place.chmod(0o644)
            place.write_bytes(b"m2")
    _, left = imported(cli, "dvc", "dvc")
    assert "damaged" in left["model.bin at release/2"]


def test_nothing_that_gits_config_names_is_run(dvc: Path, cli: Cli, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand"):
        subprocess.run(["git", "config", key, str(hook)], cwd=dvc, check=True)
    imported(cli, "dvc", "dvc")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        "outs: 5",
        "[1, 2]",
        "outs:\n- path: x\n  md5: ../../../../etc/passwd\n",
        "outs:\n- md5: 0\n",
        "{unclosed",
        "!!python/object/apply:os.system ['touch ran']",
    ],
)
def test_hostile_files_of_dvc_are_left_out(repo: Repository, cli: Cli, tmp_path: Path, text: str) -> None:
    make_tree(tmp_path / "hostile", {".dvc/config": "", "x.dvc": text})
    taken, left = imported(cli, "dvc", "hostile")
    assert taken == {} and len(left) == 1 and not (tmp_path / "ran").exists()


def test_a_list_of_dvc_that_leads_elsewhere_is_left_out(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    from hashlib import md5

    inner = md5(b"x").hexdigest()
    listed = json.dumps([{"md5": inner, "relpath": "../../out"}]).encode()
    outer = md5(listed).hexdigest()
    cache = f".dvc/cache/files/md5/{outer[:2]}/{outer[2:]}.dir"
    make_tree(tmp_path / "hostile", {".dvc/config": "", f".dvc/cache/files/md5/{inner[:2]}/{inner[2:]}": "x", cache: listed,
                                     "d.dvc": f"outs:\n- path: d\n  md5: {outer}.dir\n  hash: md5\n"})  # fmt: skip
    taken, left = imported(cli, "dvc", "hostile")
    assert taken == {} and "d at the working folder" in left


def test_a_dvc_project_in_a_subfolder_of_a_git_repository_is_taken(dvc: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "outer").mkdir()
    dvc.rename(tmp_path / "outer/sub")
    shutil.rmtree(tmp_path / "outer/sub/.git")
    (tmp_path / "outer/HEAD").write_text("a file of that name")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "all"],
        ["tag", "t"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path / "outer", check=True)
    taken, _ = imported(cli, "dvc", "outer/sub")
    assert set(taken) == {"data at t", "model.bin at t", "counts/out.txt at t"}


def test_links_of_an_imported_folder_are_not_followed(dvc: Path, mlruns: Path, cli: Cli, tmp_path: Path) -> None:
    secret = make_tree(tmp_path / "secret", {"s": "secret"})
    cached = next(
        path for path in (dvc / ".dvc/cache/files/md5").rglob("*") if path.is_file() and path.read_bytes() == b"m1"
    )
    cached.unlink()
    cached.symlink_to(secret / "s")
    (dvc / "dangling.dvc").symlink_to("nowhere")
    _, left = imported(cli, "dvc", "dvc")
    assert "leads out of" in left["model.bin at release/2"] or "damaged" in left["model.bin at release/2"]
    good = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: good" in path.read_text()).parent
    shutil.rmtree(good / "artifacts")
    (good / "artifacts").symlink_to(secret)
    bad = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: bad" in path.read_text()).parent
    (bad / "params/p").symlink_to(secret / "s")
    os.mkfifo(bad / "params/fifo")
    taken, left = imported(cli, "mlflow", str(mlruns))
    assert not any("artifacts" in source for source in taken) and len(left) >= 3
    assert "secret" not in json.dumps(taken)


def test_what_is_nested_too_deep_ends_nothing(dvc: Path, mlruns: Path, cli: Cli) -> None:
    shutil.rmtree(dvc / ".git")
    (dvc / "deep.dvc").write_text("outs: " + "[" * 50_000)
    taken, left = imported(cli, "dvc", "dvc")
    assert "deep.dvc at the working folder" in left and len(taken) == 3
    good = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: good" in path.read_text()).parent
    (good / "params/deep").write_text("[" * 100_000)
    taken, _ = imported(cli, "mlflow", str(mlruns))
    assert "run good" in taken


def test_what_was_said_here_stays_as_it_is(dvc: Path, mlruns: Path, repo: Repository, cli: Cli) -> None:
    imported(cli, "mlflow", str(mlruns))
    imported(cli, "dvc", "dvc")
    assert cli("edit", "digits-first/digits-model", "--description", "my own words").code == 0
    assert cli("alias", "dvc/data:v1", "v1.0").code == 0
    assert cli("edit", "--collection", "registry-mlflow/digits-model", "--description", "theirs").code == 0
    imported(cli, "mlflow", str(mlruns))
    imported(cli, "dvc", "dvc")
    assert repo.properties(repo.find("digits-first/digits-model"))[0] == "my own words"
    assert repo.find("dvc/data:v1.0").version["number"] == 1
    assert repo.collection("registry-mlflow/digits-model").description == "theirs"


# -- MLflow --


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    return unpacked("mlflow", tmp_path) / "mlruns"


def run_named(repo: Repository, name: str) -> Any:
    return next(state for state in repo.runs.all() if state.name == name and state.deleted is None)


def test_runs_of_mlflow_keep_config_metrics_notes_times_and_state(mlruns: Path, repo: Repository, cli: Cli) -> None:
    _, left = imported(cli, "mlflow", str(mlruns))
    assert list(left) == ["digits model 3"] and "/nowhere/at/all" in left["digits model 3"]
    good, bad = run_named(repo, "good"), run_named(repo, "bad")
    assert good.path.project == "digits-first" and good.config == {
        "lr": 0.1,
        "optimizer": "adam",
        "shuffle": True,
        "layers": 3,
    }
    assert (good.finished, bad.finished, bad.config) == ("finished", "failed", {"lr": "big"})
    assert (good.notes, good.tags, good.user) == ("A *good* one", ["team:a"], "root")
    meta = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: good" in path.read_text()).read_text()
    started = int(meta.split("start_time: ")[1].split()[0])
    assert good.started == iso(started / 1000)
    rows = list(repo.run_history(good))
    assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(20)] and [
        row["_step"] for row in rows
    ] == list(range(20))
    assert {row["_step"]: row["val/acc"] for row in rows if "val/acc" in row} == {0: 0.0, 5: 0.25, 10: 0.5, 15: 0.75}
    assert good.summary == {"loss": 0.05, "val/acc": 0.75}


def test_artifacts_and_models_of_mlflow_are_versions_and_links(
    mlruns: Path, repo: Repository, cli: Cli, tmp_path: Path
) -> None:
    imported(cli, "mlflow", str(mlruns))
    good = run_named(repo, "good")
    place = mlruns.glob("*/*/artifacts")
    original = next(path for path in place if any(path.iterdir()))
    edge = next(iter(good.logged.values()))
    assert (edge["name"], edge["type"]) == ("good-artifacts", "artifact")
    assert cli("get", "digits-first/good-artifacts", "--root", "got").code == 0
    assert snapshot(tmp_path / "got") == snapshot(original)
    champion = repo.find("registry-mlflow/digits-model:champion")
    assert champion.version["source"]["name"] == "digits-model" and champion.state.description == "Reads digits"
    assert cli("get", "registry-mlflow/digits-model:champion", "--root", "model").code == 0
    assert snapshot(tmp_path / "model") == snapshot(original / "model")
    said = repo.properties(champion)[1]["mlflow"]
    assert said["model"] == "digits model" and said["tags"] == {"checked": "yes"}


def test_a_second_import_of_mlflow_adds_nothing(mlruns: Path, repo: Repository, cli: Cli) -> None:
    imported(cli, "mlflow", str(mlruns))
    before = {path: (mlruns.parent.parent / ".artifacts" / path).stat().st_mtime_ns for path in ("refs", "runs")}
    taken, _ = imported(cli, "mlflow", str(mlruns.parent))
    assert taken == {} and len(list(repo.runs.all())) == 2
    assert before == {path: (mlruns.parent.parent / ".artifacts" / path).stat().st_mtime_ns for path in before}


def test_a_run_that_an_import_left_open_is_recorded_anew(
    mlruns: Path, repo: Repository, cli: Cli, tmp_path: Path
) -> None:
    run = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: good" in path.read_text()).parent
    metric = run / "metrics/loss"
    whole = metric.read_text()
    code = "import os\nfrom artstore.adapters.importing import Recorder\nRecorder.end = lambda self: os._exit(9)\nfrom artstore.cli import main\nmain()"
    dead = subprocess.run(
        [sys.executable, "-c", code, "import", "mlflow", str(mlruns)],
        cwd=tmp_path,
        env=environment(tmp_path),
        check=False,
        capture_output=True,
    )
    assert dead.returncode == 9 and metric.read_text() == whole
    taken, _ = imported(cli, "mlflow", str(mlruns))
    assert "run good" in taken and len(list(repo.run_history(run_named(repo, "good")))) == 20


@pytest.mark.parametrize(
    ("pattern", "change"),
    [
        (r"start_time: .*", ""),
        (r"start_time: .*", "start_time: .inf"),
        (r"status: .*", "status: x"),
        (r"start_time: .*", "start_time: 1.0e+30"),
    ],
)
def test_a_run_that_is_malformed_does_not_end_the_import(mlruns: Path, cli: Cli, pattern: str, change: str) -> None:
    bad = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: bad" in path.read_text())
    bad.write_text(re.sub(pattern, change, bad.read_text()))
    make_tree(
        mlruns / "models",
        {"odd/meta.yaml": "name: odd\naliases: [1, 2]\n", "odd/version-1/meta.yaml": "source: runs:/x\n"},
    )
    taken, left = imported(cli, "mlflow", "./" + os.path.relpath(mlruns, mlruns.parent.parent))
    assert "run good" in taken and len(left) == 3 and "digits model 2" not in left


@pytest.mark.parametrize("source", ["file:///etc", "/etc", "runs:/../../..", "models:/../.."])
def test_a_store_of_mlflow_names_no_other_folder_of_yours(
    mlruns: Path, repo: Repository, cli: Cli, source: str
) -> None:
    place = mlruns / "models/digits model/version-1/meta.yaml"
    lines = [
        f"{line.split(':')[0]}: {source}" if line.startswith(("source:", "storage_location:")) else line
        for line in place.read_text().splitlines()
    ]
    place.write_text("\n".join(lines))
    _, left = imported(cli, "mlflow", str(mlruns))
    assert "is not in this store" in left["digits model 1"]


def test_what_is_malformed_in_mlflow_is_left_and_the_rest_taken(mlruns: Path, repo: Repository, cli: Cli) -> None:
    bad = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: bad" in path.read_text())
    bad.write_text("start_time: never\n")
    taken, left = imported(cli, "mlflow", str(mlruns))
    assert "run good" in taken and any("bad" not in source and "run " in source for source in left)
    missing = cli("import", "mlflow", "nowhere.db")
    assert (missing.code, missing.err) == (
        4, "error: there is nothing at nowhere.db\nhint: name what to import from\n"
    )  # fmt: skip


# -- W&B --


def made_offline(folder: Path) -> Path:
    """Made by the wandb that is installed."""
    code = f"import sys; sys.path.insert(0, {str(MADE)!r}); import make, pathlib; make.make_wandb(pathlib.Path(sys.argv[1]))"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        check=True,
        env=environment(folder.parent, PYTHONWARNINGS="ignore"),
        cwd=folder,
    )
    return folder


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_offline(tmp_path_factory.mktemp("wandb") / "there")


@pytest.fixture
def offline(made_once: Path, tmp_path: Path) -> Path:
    """A copy, whose log names the staged files of the original."""
    return Path(shutil.copytree(made_once, tmp_path / "there", symlinks=True))


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """One whose staged files are the test's own."""
    return made_offline(tmp_path / "there")


def test_an_offline_run_of_wandb_keeps_what_it_recorded(
    offline: Path, repo: Repository, cli: Cli, tmp_path: Path
) -> None:
    taken, left = imported(cli, "wandb", "there/wandb")
    assert sorted(taken.values()) == ["me/proj/abcd1234", "me/proj/data:v0"] and left == {}
    state = repo.runs.find(RunPath("me", "proj", "abcd1234"))
    assert state.config == {"lr": 0.1, "model": {"layers": 2}, "late": True}
    assert (state.name, state.job_type, state.group, state.notes, state.tags, state.finished) == (
        "nice",
        "train",
        "g",
        "n",
        ["t"],
        "finished",
    )
    assert state.summary["final"] == 3
    rows = list(repo.run_history(state))
    assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(10)] and rows[4]["acc"] == {"top1": 4}
    found = repo.find("me/proj/data:best")
    assert (found.version["run"], repo.properties(found)) == (
        "me/proj/abcd1234",
        ("said", {"k": 1, "wandb": {"run": "me/proj/abcd1234"}}),
    )
    assert repo.lookup.extras(found) == {"sub/b c.txt": {"label": "b", "boxes": [[0, 0.5], None]}}
    assert list(state.logged) == [found.version["id"]]
    assert cli("get", "me/proj/data:v0", "--root", "got").code == 0
    assert snapshot(tmp_path / "got") == {"a.txt": (False, b"a"), "sub": None, "sub/b c.txt": (False, b"b" * 1000)}
    assert imported(cli, "wandb", "there/wandb") == ({}, {})


def test_files_that_a_run_of_wandb_saved_are_the_runs_files(
    offline: Path, repo: Repository, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = next((offline / "wandb").glob("offline-run-*"))
    make_tree(folder, {"files/media/images/x.png": "1", "files/mine.txt": "2", "files/large": "3" * 99})
    (folder / "files/secret").symlink_to("/etc/passwd")
    monkeypatch.setattr(wandb_offline, "_LONGEST_FILE", 50)
    _, left = imported(cli, "wandb", "there/wandb")
    assert sorted(left) == ["file large of run abcd1234", "file secret of run abcd1234"]
    state = repo.runs.find(RunPath("me", "proj", "abcd1234"))
    assert sorted(repo.run_files(state)) == ["media/images/x.png", "mine.txt"]
    with repo.open_run_file(state, "mine.txt") as file:
        assert file.read() == b"2"


def test_downloaded_artifacts_of_wandb_become_versions(
    offline: Path, repo: Repository, cli: Cli, tmp_path: Path
) -> None:
    for folder in ("there/artifacts", "there/artifacts/digits:v3"):
        taken, left = imported(cli, "wandb", folder, "--project", "p", "--type", "images")
        assert left == {}
        assert list(taken.values()) == (["local/p/digits:v0"] if folder == "there/artifacts" else [])
    found = repo.find("p/digits")
    assert (found.state.type, found.version["metadata"]) == ("images", {"wandb": {"version": "v3"}})
    assert cli("get", "p/digits", "--root", "got").code == 0
    assert snapshot(tmp_path / "got") == snapshot(offline / "artifacts/digits:v3")


def test_a_staged_file_that_is_gone_leaves_its_artifact(staged: Path, repo: Repository, cli: Cli) -> None:
    for path in (staged / "data/artifacts/staging").iterdir():
        path.unlink()
    taken, left = imported(cli, "wandb", "there")
    assert "me/proj/abcd1234" in taken.values() and "is gone" in left["artifact data of run abcd1234"]


def test_a_staged_file_that_is_not_what_the_log_says_is_left(
    staged: Path, repo: Repository, cli: Cli, tmp_path: Path
) -> None:
    for path in (staged / "data/artifacts/staging").iterdir():
        path.chmod(0o644)
        path.write_text("secret")
    taken, left = imported(cli, "wandb", "there")
    assert "me/proj/data:v0" not in taken.values() and "differs from the log" in left["artifact data of run abcd1234"]


def test_a_log_of_wandb_that_is_cut_or_damaged_is_told(offline: Path, repo: Repository, cli: Cli) -> None:
    log = next((offline / "wandb").rglob("*.wandb"))
    data = log.read_bytes()
    whole = list(records(data, "it"))
    assert list(records(data[:-3], "it")) == whole[:-1], "a killed run's last record is cut off"
    for broken in (data[:50] + bytes([data[50] ^ 1]) + data[51:], b"something else"):
        with pytest.raises(Damage):
            list(records(broken, "it"))
    log.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
    _, left = imported(cli, "wandb", "there/wandb")
    assert "damaged at byte" in next(iter(left.values()))


def test_long_records_span_blocks() -> None:
    import struct
    import zlib

    def framed(kind: int, piece: bytes) -> bytes:
        return struct.pack("<IHB", zlib.crc32(piece, zlib.crc32(bytes([kind]))), len(piece), kind) + piece

    room = (32 << 10) - 7 - 7
    data = b":W&B\xe1\xbe\0" + framed(2, b"a" * room) + framed(3, b"b" * ((32 << 10) - 7)) + framed(4, b"c")
    assert list(records(data, "it")) == [b"a" * room + b"b" * ((32 << 10) - 7) + b"c"]


def test_an_extra_that_is_missing_is_named(mlruns: Path, repo: Repository, tmp_path: Path) -> None:
    code = "import sys; sys.modules['yaml'] = None; from artstore.cli import main; sys.argv[1:] = ['import', 'mlflow', sys.argv[1]]; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(mlruns)],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4 and "artstore[import]" in done.stderr
    assert os.listdir(mlruns)
