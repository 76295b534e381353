"""What SECURITY.md promises: no code from data, nothing outside, no unbounded memory, no secrets kept, no trust in others."""

import ast
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import artstore
from artstore.backends.git import Asking, diff_of
from artstore.backends.owner import this_process
from artstore.domain.ignore import Rules
from artstore.domain.redaction import redacted, secret_in_uri
from artstore.errors import InvalidValue
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.trouble import limited, run

TOP = Path(__file__).parents[2]

STRANGER = 12345
"""A user that is nobody here."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def _give_away(folder: Path, uid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid)


# -- code ----------------------------------------------------------------------------------------

DANGEROUS = re.compile(
    r"(pickle|marshal|shelve|dill|joblib|yaml|runpy|code|codeop|imp|xmlrpc|pty)(\..*)?|subprocess|ctypes|.*\.ctypes|tempfile|"
    r"importlib(\..*)?|os\.(system|popen|exec\w*|spawn\w*|posix_spawnp?|fork|startfile)|(builtins\.)?(eval|exec|compile|__import__)"
)
ALLOWED = {
    ("__init__", "importlib"): "public names, from a table in the same file",
    ("operations.automation.worker", "subprocess"): "commands of the user's own rules, without a shell",
    ("operations.automation.worker", "tempfile"): "files without a name",
    ("server.seen", "tempfile"): "the folder for temporary files, whose free space is looked at",
    ("cli", "importlib"): "families of commands, from a table in the same file",
    ("operations.doctor.filesystem", "subprocess"): "a second process of our own, which asks for a lock",
    ("backends.background", "ctypes"): "ioprio_set, which the C library has no function for",
    ("backends.durability", "ctypes"): "syncfs of the C library",
    ("backends.naming", "ctypes"): "renameat2 of the C library",
    (
        "backends.background",
        "os.posix_spawn",
    ): "functions of this package, by a shell whose text is fixed; what it runs stands in arguments",
    ("operations.automation.firing", "tempfile"): "a file without a name",
    ("domain.plain", "yaml"): "its safe loader, which makes plain values alone",
    ("adapters.dvc", "subprocess"): "`git log`, `ls-tree`, `cat-file`, with hooks, monitors and pagers turned off",
    ("operations.doctor.machine", "importlib.metadata"): "versions of installed packages",
    ("operations.doctor.machine", "tempfile"): "where files without a name go",
    ("backends.owner", "subprocess"): "`ps` and the like, where there is no /proc",
    ("backends.git", "subprocess"): "`git`, with all that a repository's config could have it run turned off",
    ("backends.references", "importlib.metadata"): "for the next line",
    (
        "backends.references",
        "importlib.metadata.entry_points",
    ): "handlers of schemes, by entry points of installed packages",
    **{
        ("api.surroundings.samples", what): "whether psutil and pynvml are installed, without importing them"
        for what in ("importlib.util", "importlib.util.find_spec")
    },
    ("server.asking", "tempfile"): "a file without a name, for a long answer",
    ("store.served.large", "tempfile"): "a file without a name, for a blob that is read",
    ("api.recording", "tempfile"): "a folder of its own, for runs that record nothing",
    ("backends.bucket.storage", "tempfile"): "files without a name, and the name of the folder for such files",
    ("api.tables.frames", "importlib"): "numpy, pandas, pyarrow: named in the same file",
    ("api.needed", "importlib"): "packages that a caller names, such as numpy and Pillow",
    ("api.media.content", "tempfile"): "a file without a name",
    ("api.media.logged", "tempfile"): "a copy of a media file for a moment, which a run then copies",
    ("api.media.video", "tempfile"): "a folder of its own, in which a video is encoded",
    ("api.tables.rows", "tempfile"): "a file without a name, of msgpack",
    ("operations.restoring.opening", "tempfile"): "a file without a name",
    ("cli.exporting", "importlib"): "compressors of the standard library, from a table in the same file",
    ("cli.running", "importlib.metadata"): "whether W&B's package is installed, and its version",
    ("cli.running", "os.execvpe"): "the command that the user gave to `artstore run`",
    **{
        (f"adapters.wandb_names.{module}", what): "W&B's modules, from a table in the same folder; what a caller names"
        for module in ("hooks", "modules")
        for what in ("importlib", "importlib.machinery")
    },
    ("adapters.wandb_names.hooks", "importlib.abc"): "base classes of what imports modules",
    ("adapters.wandb_names.here", "importlib"): "what Python remembers of folders is forgotten",
    ("cli.saving", "tempfile"): "a folder of its own, for the repository of a dry run where there is none",
}
"""What could run code, or make files where others do, by (module, what), each with the reason why it may."""


def _uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Imports, calls of builtins, and what is said of modules: `os.system`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif (
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("os", "builtins")
        ):
            yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, node.func.id


def test_nothing_in_the_package_can_run_code_but_what_is_listed_here_with_its_reason() -> None:
    found = set()
    for source in (TOP / "artstore").rglob("*.py"):
        module = ".".join(source.relative_to(TOP / "artstore").with_suffix("").parts)
        module = module if module == "__init__" else module.removesuffix(".__init__")
        tree = ast.parse(source.read_text())
        found |= {(module, use) for _, use in _uses(tree) if DANGEROUS.fullmatch(use)}
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                raise AssertionError(f"{source}:{node.value.lineno} asks for a shell")
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in ("np", "numpy")
            ):
                assert node.attr not in ("loadtxt", "genfromtxt", "fromfile", "memmap"), f"{source}:{node.lineno}"
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "load"
                and ast.unparse(node.func) in ("np.load", "numpy.load")
            ):
                assert ast.unparse(node).endswith("allow_pickle=False)"), f"{source}:{node.lineno}"
            if isinstance(node, ast.Attribute) and node.attr in ("read_pickle", "to_pickle", "mktemp", "unsafe_load"):
                raise AssertionError(f"{source}:{node.lineno} {node.attr}")
    assert found == ALLOWED.keys()
    assert all(ALLOWED.values())


FILTER = '[filter "x"]\n\tclean = {run}; cat\n'
HOSTILE = {
    "a filter": FILTER,
    "a filter that is a process": '[filter "x"]\n\tprocess = {run}\n\trequired\n',
    "a filter that an included file names": "[include]\n\tpath = {top}/included\n",
    "a filter whose name no option can hold": '[filter "x=y"]\n\tclean = {run}; cat\n',
    "a monitor of the file system": "[core]\n\tfsmonitor = {run}; false\n",
    "a program for differences": "[diff]\n\texternal = {run}\n",
    "a program for differences of some files": '[diff "x"]\n\tcommand = {run}\n',
    "a program that makes text for differences": '[diff "x"]\n\ttextconv = {run}\n',
    "hooks elsewhere": "[core]\n\thooksPath = {top}/hooks\n",
    "a remote that holds what is missing": (
        '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n'
        '\turl = "ext::sh -c {run}"\n[protocol "ext"]\n\tallow = always\n'
    ),
    "a remote over ssh": (
        '[core]\n\trepositoryformatversion = 1\n\tsshCommand = {run}\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n'
        "\tpromisor = true\n\turl = ssh://host/path\n"
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_recording_the_commit_runs_nothing_that_a_git_config_names(here: Path, how: str) -> None:
    """`git status` would: by filters, monitors, hooks, and a fetch of objects that are missing."""

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null")
        subprocess.run(["git", *identity, *arguments], cwd=here, check=True, capture_output=True)

    ran = here / "ran"
    script = make_tree(here / "bin", {"run*": f"#!/bin/sh\ntouch {ran}\n"}) / "run"
    make_tree(here, {"code.py": "1", ".gitattributes": f"*.py filter={'x=y' if 'option' in how else 'x'} diff=x\n"})
    git("init", "-q")
    git("add", "code.py", ".gitattributes")
    git("commit", "-qm", "one")
    config = HOSTILE[how].format(run=script, top=here)
    make_tree(here, {"included": FILTER.format(run=script), "hooks/post-index-change*": f"#!/bin/sh\n{script}\n"})
    (here / ".git/config").write_text((here / ".git/config").read_text() + config)
    if "remote" in how:
        tree = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=here, capture_output=True, text=True, check=True)
        (here / f".git/objects/{tree.stdout[:2]}/{tree.stdout.strip()[2:]}").unlink()
    (here / "code.py").write_text("2")  # as long as before: a look at its content is needed
    code = Asking().answer()
    found, patch = code.state, diff_of(code)
    assert not ran.exists()
    if how in ("a filter", "a monitor of the file system", "hooks elsewhere"):
        assert found is not None and found["dirty"] and len(found["commit"]) == 40
        assert patch.endswith(b"-1\n\\ No newline at end of file\n+2\n\\ No newline at end of file\n")
    for command in ("status", "diff"):
        status = subprocess.run(
            ["git", command], cwd=here, capture_output=True, env=os.environ | {"GIT_PROTOCOL_FROM_USER": "1"}
        )
    assert ran.exists() or "hooks" in how, f"the attack is none: {status}"


# -- writes ---------------------------------------------------------------------------------------

INSIDE = (
    "objects", "objects/packs", "objects/blobs", "objects/blobs/SHARD", "refs", "refs/local", "runs", "tmp", "trash", "bad",
    "cache", "cache/stat", "checkouts", "remotes",
)  # fmt: skip
COMMANDS = (
    ("ls",), ("get", "data", "--force"), ("put", "SOURCE", "--name", "data"), ("put", "SOURCE", "--name", "more"), ("status",),
    ("fsck",), ("fsck", "--repair"), ("gc", "--now"), ("config", "core.project", "p"), ("alias", "data", "x"), ("push",),
)  # fmt: skip


def _times(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_mode)
    return found


@pytest.mark.damaged
@pytest.mark.parametrize("place", INSIDE)
def test_nothing_is_written_through_a_symlink_in_a_repository_that_others_write_to(
    repo: Repository, root: Path, tmp_path: Path, cli: Cli, place: str
) -> None:
    """By no command, fsck --repair included: as root, a link to /etc would be the end."""
    source = make_tree(tmp_path / "source", {"f": "1", "large": os.urandom(1 << 20)})
    cli("remote", "add", "nas", tmp_path / "nas", "--init")
    assert cli("put", source, "--name", "data").code == 0
    (shard,) = (root / "objects/blobs").iterdir()
    root.chmod(0o2775)
    path, outside = root / place.replace("SHARD", shard.name), tmp_path / "outside"
    if path.exists():
        path.rename(outside)
    make_tree(outside, {"precious": "p", "folder/precious": "p", "0" * 64: "p", f"{'0' * 64}.pack": "p"})
    path.symlink_to(outside)
    make_tree(source, {"g": "2", "larger": os.urandom(1 << 20)})
    before = _times(outside)
    for command in COMMANDS:
        result = cli(*(str(source) if word == "SOURCE" else word for word in command))
        assert _times(outside) == before, (command, result)
        assert result.code in (0, 1, 4, 7, 9), (command, result)
    assert _times(outside) == before


@pytest.mark.damaged
@pytest.mark.parametrize(
    "place", ["cache/verified", "cache/objects.idx", "cache/runs.catalog", "config", "checkouts/NOTE"]
)
def test_nothing_is_written_through_a_symlink_in_place_of_a_cache_or_note(
    repo: Repository, root: Path, tmp_path: Path, cli: Cli, place: str
) -> None:
    """Also in one's own repository: a project that was unpacked may hold one."""
    source = make_tree(tmp_path / "source", {"f": "1", "large": os.urandom(1 << 20)})
    assert cli("put", source, "--name", "data").code == 0
    (note,) = (root / "checkouts").iterdir()
    victim = tmp_path / "victim"
    victim.write_text("[core]\nproject = q\n")
    path = root / place.replace("NOTE", note.name)
    path.unlink(missing_ok=True)
    path.symlink_to(victim)
    make_tree(source, {"larger": os.urandom(1 << 20)})
    for command in (
        ("put", source, "--name", "data"),
        ("get", "data"),
        ("runs", "ls"),
        ("config", "core.project", "p"),
    ):
        cli(*command)
    assert victim.read_text() == "[core]\nproject = q\n"


def test_what_somebody_else_seems_to_have_left_of_a_download_is_not_taken_over(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """A folder that others write to may hold a symlink, or a folder of theirs, named as what a dead process was building."""
    repo.put(str(make_tree(tmp_path / "source", {"authorized_keys": "mallory's"})), "data")
    dead = this_process()._replace(pid=2**22 - 1, start="1")
    shared, home = tmp_path / "shared", make_tree(tmp_path / "home", {"authorized_keys": "mine"})
    shared.mkdir()
    (shared / f".out.artstore-{dead}").symlink_to(home)
    repo.get(repo.find("data"), str(shared / "out"))
    assert (home / "authorized_keys").read_text() == "mine" and not (shared / "out").is_symlink()
    if os.geteuid() == 0:
        theirs = make_tree(shared / f".more.artstore-{dead}", {"extra": "mallory's"})
        os.chown(theirs, STRANGER, STRANGER)
        repo.get(repo.find("data"), str(shared / "more"))
        assert (shared / "more").stat().st_uid == 0 and not (shared / "more/extra").exists()


# -- repositories of others ------------------------------------------------------------------------


@as_root
def test_a_repository_that_a_stranger_left_in_a_folder_for_everybody_is_not_used(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in /tmp: what is put below would be saved for them. It is used where it is named, and a group's where it is."""
    everybody = tmp_path / "tmp"
    everybody.mkdir()
    everybody.chmod(0o1777)
    (everybody / "work").mkdir()
    make_tree(everybody / "work/src", {"secret": "s"})
    planted = everybody / ".artifacts"
    Repository.init(str(planted)).close()
    _give_away(planted, STRANGER)
    result = cli("ls", cwd=everybody / "work")
    assert result.code == 4 and result.err.splitlines()[1] == (
        f"hint: somebody else left {planted}: if you trust them, ARTSTORE_DIR={planted} uses it"
    )
    result = cli("put", everybody / "work/src", "--name", "data", cwd=everybody)
    assert result.code == 6 and result.err.startswith(
        f"error: {planted} was left there by somebody else, in a folder that isn't theirs\nhint: if you trust them, "
    )
    assert cli("put", "src", "--name", "data", cwd=everybody / "work").code == 0
    assert (everybody / "work/.artifacts/format").exists()
    assert not list((planted / "objects/packs").iterdir())
    assert cli("put", "src", "--name", "data", cwd=everybody / "work", ARTSTORE_DIR=str(planted)).code == 0
    check(everybody / "work/.artifacts")


def _noted_place(root: Path) -> Path:
    (note,) = (root / "checkouts").iterdir()
    return note


@as_root
@pytest.mark.damaged
def test_notes_that_somebody_else_wrote_lead_status_and_repair_nowhere(
    repo: Repository, root: Path, tmp_path: Path, cli: Cli
) -> None:
    """They could name folders that only the victim may read: a repair would copy files from there to where others read."""
    private = make_tree(tmp_path / "private", {"secret": "s" * 2000})
    assert cli("put", private, "--name", "data").code == 0
    assert "private" in cli("status").out
    (pack,) = (root / "objects/packs").iterdir()
    pack.unlink()
    note = _noted_place(root)
    os.chown(note, STRANGER, STRANGER)
    assert "private" not in cli("status").out
    result = cli("fsck", "--repair")
    assert result.code == 7 and "private" not in result.out, result
    os.chown(note, 0, 0)
    note.chmod(0o666)
    assert "private" not in cli("status").out
    note.chmod(0o644)
    result = cli("fsck", "--repair")
    assert result.code == 0 and "private" in result.out, result


@as_root
@pytest.mark.damaged
def test_what_somebody_else_noted_as_verified_is_hashed_all_the_same(
    repo: Repository, root: Path, tmp_path: Path, cli: Cli
) -> None:
    """Else wrong bytes of a large file would pass for right ones."""
    large = os.urandom(1 << 20)
    assert cli("put", make_tree(tmp_path / "source", {"large": large}), "--name", "data").code == 0
    (blob,) = (path for path in (root / "objects/blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    blob.write_bytes(bytes(1 << 20))
    status = blob.stat()
    noted = struct.pack(
        ">32sQQQqq", bytes.fromhex(blob.name), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
        status.st_ctime_ns,
    )  # fmt: skip
    cache = root / "cache/verified"
    cache.write_bytes(noted)
    assert cli("get", "data", "--root", tmp_path / "fooled").code == 0, "the attack is none"
    os.chown(cache, STRANGER, STRANGER)
    assert cli("get", "data", "--root", tmp_path / "out").code == 7
    assert cache.stat().st_uid == 0 or cache.read_bytes() == noted


def test_remotes_are_not_contacted_while_others_may_write_the_config(tmp_path: Path, process_cli: Cli) -> None:
    """An address of theirs would be told our credentials."""
    assert process_cli("init").code == 0
    assert process_cli("remote", "add", "nas", tmp_path / "nas", "--init").code == 0
    config = tmp_path / ".artifacts/config"
    assert config.stat().st_mode & 0o022 == 0, "whatever the umask"
    assert process_cli("fetch").code == 0
    config.chmod(0o664)
    result = process_cli("fetch")
    assert result.code == 6 and result.err.startswith(
        "error: others may write to this repository's config: its remote"
    ), result
    assert process_cli("remote", "allow").code == 0 and process_cli("fetch").code == 0


# -- secrets ---------------------------------------------------------------------------------------

SECRET = "s3cr3t-" + "x" * 30
SECRET_NAMES = (
    "code assertion saml SAMLResponse oauth oauth_verifier otp totp pin creds cookie csrf xsrf nonce subscription-key "
    "Ocp-Apim-Subscription-Key rlkey resourcekey sas sk"
)
"""Names that mean a secret in a URI, beside those that mean one everywhere."""


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--token", SECRET], ["--token", "***"]),
        (["--hf-token=" + SECRET], ["--hf-token=***"]),
        (["--api_key", SECRET, "--lr", "1"], ["--api_key", "***", "--lr", "1"]),
        (["-password", "-" + SECRET], ["-password", "***"]),
        (["wandb.apiKey=" + SECRET], ["wandb.apiKey=***"]),
        (["AWS_SECRET_ACCESS_KEY=" + SECRET], ["AWS_SECRET_ACCESS_KEY=***"]),
        ([f"https://anna:{SECRET}@host/x"], ["https://anna:***@host/x"]),
        ([f"--url=https://{SECRET}@host/x"], ["--url=https://***@host/x"]),
        ([f"https://host/x?a=1&X-Amz-Signature={SECRET}&b=2"], ["https://host/x?a=1&X-Amz-Signature=***&b=2"]),
        ([f"https://host/x?sig={SECRET}"], ["https://host/x?sig=***"]),
        (["--max-tokens", "512"], ["--max-tokens", "512"]),
        (["--pad-token", "<pad>"], ["--pad-token", "<pad>"]),
        (["--tokenizer", "gpt2", "git@host:x", "ssh://git@host/x"], ["--tokenizer", "gpt2", "git@host:x", "ssh://git@host/x"]),
        (["--token", "--quiet"], ["--token", "--quiet"]),
        (["--use", "ghp_" + "a1B" * 12], ["--use", "ghp_***"]),
    ],
    ids=lambda value: value[0].split(SECRET)[0],
)  # fmt: skip
def test_secrets_among_a_runs_arguments_are_not_recorded(
    here: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], kept: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", *given])
    with artstore.init() as run:
        path = run.path
    assert artstore.Api().run(path).metadata["command"] == ["train.py", *kept]
    assert all(SECRET.encode() not in path.read_bytes() for path in here.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "uri",
    [
        f"https://host/x?X-Amz-Credential=k&X-Amz-Signature={SECRET}",
        f"https://account.host/x?sv=2024&sig={SECRET}",
        f"https://host/x?access_token={SECRET}",
        f"s3://bucket/key?token={SECRET}",
        f"unknown://host/x?api_key={SECRET}",
        *(f"https://host/x?a=1&{name}={SECRET}" for name in ("key", "auth", "jwt", "bearer", "session", "st", "hdnea")),
        *(f"https://host/x?a=1&{name}={SECRET}" for name in SECRET_NAMES.split()),
        f"https://host/x;token={SECRET}",
        f"https://host/x;jsessionid={SECRET}?a=1",
        f"https://host/x#access_token={SECRET}",
        f"https://host/x?url=https%3A%2F%2Fkey%3A{SECRET}%40host",
        f"https://host/x?url=https%253A%252F%252Fhost%253Ftoken%253D{SECRET}",
        f"https://host/https://key:{SECRET}@host/x",
    ],
)
def test_a_reference_with_a_secret_in_its_uri_is_refused_without_telling_it(here: Path, uri: str) -> None:
    """It would be kept, and travel, with the version; a signed URL is of no use by then."""
    artifact = artstore.Artifact("data", type="dataset")
    with pytest.raises(InvalidValue, match="a reference must not hold any") as caught:
        artifact.add_reference(uri, name="x", checksum=False)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "uri",
    [
        f"https://key:{SECRET}@[host/x",
        f"https://key:{SECRET}@host\u2100/x",
        f"https:/key:{SECRET}@host/x",
        f"key:{SECRET}@host/x",
        f"https://key:{SECRET}@host/\x01",
        f"unknown://host/x?token={SECRET}",
    ],
)
def test_a_uri_that_is_refused_is_told_without_its_password(here: Path, uri: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        artstore.Artifact("data", type="dataset").add_reference(uri)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "piece", ["a", "a:", "://", "%25", "?a=", "@", "http://", "key;", "eyJa.", "sk-a-", "/bot1", "?code="]
)
def test_a_long_uri_is_looked_through_in_linear_time(piece: str) -> None:
    began = time.process_time()
    secret_in_uri(piece * 100_000)
    redacted(piece * 100_000)
    assert time.process_time() - began < 5  # 0.1 s; before, letters took minutes


def test_a_uri_without_a_secret_is_taken(here: Path) -> None:
    artifact = artstore.Artifact("data", type="dataset")
    for uri in ("https://host/x?version=3&start=1&monkey=2", "https://host/a;b=c#row=3", "s3://b/st=3/key=4/x.parquet"):
        assert artifact.add_reference(uri, name=f"n{len(uri)}", checksum=False)


@pytest.mark.parametrize(
    "place",
    [
        f"s3://key:{SECRET}@bucket/path",
        f"s3://key:a@{SECRET}@bucket/path",
        f"s3://bucket/path?secret_access_key={SECRET}",
        f"s3://bucket/path?endpoint=https://key:{SECRET}@host",
        f"s3://bucket/path?endpoint=ftp://key:{SECRET}@host",
        f"https://key:{SECRET}@host/path",
        f"file://key:{SECRET}@host/path",
    ],
)
def test_a_place_with_a_secret_is_refused_without_telling_or_keeping_it(tmp_path: Path, cli: Cli, place: str) -> None:
    assert cli("init").code == 0
    for command in (("remote", "add", "x", place), ("clone", place, "copy"), ("ls", "--json", "--from", place)):
        result = cli(*command)
        assert result.code == 3 and SECRET not in result.out + result.err, result
    assert not (tmp_path / ".artifacts/config").exists()


def test_what_is_kept_for_the_user_alone_can_be_read_by_nobody_else(here: Path, tmp_path: Path, cli: Cli) -> None:
    """Rules (webhooks' addresses may be secrets), and the log of what commands printed."""
    before = os.umask(0)
    try:
        assert cli("init", cwd=here).code == 0
        made = cli("automation", "create", "hook", "--on", "created", "--run", "echo hello", cwd=here)
        assert made.code == 0, made
        cli("remote", "allow", cwd=here)
    finally:
        os.umask(before)
    assert (tmp_path / ".config/artstore").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".config/artstore/automations.json").stat().st_mode & 0o777 == 0o600


# -- memory and time -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["config", "source/.artifactsignore", "checkouts/" + "0" * 32 + ".json", "cache/verified"]
)
def test_an_enormous_file_of_a_repository_or_folder_costs_no_memory(root: Path, tmp_path: Path, name: str) -> None:
    """64 GiB of holes."""
    source = make_tree(tmp_path / "source", {"f": "1", "large": os.urandom(1 << 20)})
    limit = limited("RLIMIT_AS", 2 << 30)
    assert run(tmp_path, "put", source, "--name", "data", setup=limit).code == 0
    path = tmp_path / name if name.startswith("source") else root / name
    path.touch()
    os.truncate(path, (1 if name.startswith("source") else 64) << 30)  # what is put is read
    make_tree(source, {"more": "2"})
    for command in (("put", source, "--name", "data"), ("get", "data"), ("status",)):
        result = run(tmp_path, *command, setup=limit)
        assert result.code in ((3, 8) if name == "config" else (0, 1, 8, 9)), result


@pytest.mark.parametrize(
    "rule", ["*a" * 25 + "b", "**/" * 20 + "x", "**/a/" * 15 + "b", "*" * 50 + "b", "[a]*" * 25 + "b"]
)
def test_ignore_rules_that_come_with_data_take_no_endless_time(rule: str) -> None:
    """Backtracking would take longer than the world has."""
    rules = Rules([rule])
    began = time.process_time()
    for path in ("a" * 250, "a/" * 100 + "c", "a" * 100 + "/" + "a" * 100):
        assert rules.match(path, False) is None
    assert time.process_time() - began < 5
