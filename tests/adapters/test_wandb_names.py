"""The name `wandb` for artstore: `artstore run`, `install_as_wandb`, and W&B's modules."""

import importlib
import os
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import artstore
from artstore.adapters.wandb_names import folder
from artstore.adapters.wandb_names.modules import stand_in
from artstore.adapters.wandb_names.table import MODULES, VERSION
from artstore.errors import ArtstoreError, Refused, UnsupportedError
from tests.support.commands import Cli, environment

PYTHON = sys.executable


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder to work in. It has a folder `wandb`, in which W&B's package left its files."""
    work = tmp_path / "work"
    (work / "wandb" / "run-20260101_000000-abc").mkdir(parents=True)
    return work


def script(work: Path, text: str, name: str = "script.py") -> str:
    (work / name).write_text(textwrap.dedent(text))
    return name


@pytest.mark.parametrize("way", ["spawn", pytest.param("forkserver", marks=pytest.mark.long)])
def test_a_command_and_all_processes_that_it_starts_find_artstore_as_wandb(
    process_cli: Cli, work: Path, way: str
) -> None:
    """Frameworks ask for the module, for the metadata, or for both; a folder `wandb` beside the script is not taken."""
    script(
        work,
        """
        import sys
        from importlib.metadata import version
        from importlib.util import find_spec

        def ours():
            import artstore, wandb
            from wandb.sdk.wandb_run import Run
            import wandb.sdk.data_types.table, wandb.apis.public
            assert find_spec("wandb") is not None and find_spec("wandb.sdk.lib.telemetry") is not None
            assert Run is wandb.Run is wandb.sdk.wandb_run.Run is wandb.wandb_run.Run is artstore.Run
            assert wandb.init is artstore.init and hasattr(wandb, "run") and wandb.run is None
            assert wandb.__version__ == version("wandb").removesuffix("+artstore")
            assert wandb.errors.CommError is artstore.errors.CommError and wandb.errors.NotFound
            return "ours"
        """,
        "checks.py",
    )
    script(
        work,
        """
        import multiprocessing, subprocess, sys
        from checks import ours

        if __name__ == "__main__":
            found = [ours()]
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                found.append(pool.apply(ours))
            child = [sys.executable, "-c", "from checks import ours; print(ours())"]
            found.append(subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip())
            import wandb
            with wandb.init(project="names", id="one") as run:
                run._label(code="framework")
                wandb.log({"loss": 0.5})
                assert wandb.run is run
            print(found)
        """,
    )
    done = process_cli("run", PYTHON, "script.py", way, cwd=work)
    assert (done.code, done.out) == (0, "['ours', 'ours', 'ours']\n"), done
    assert done.err.splitlines()[0] == (
        f"wandb is artstore here: runs are recorded in {work}/.artifacts, which the first run makes; "
        f"wandb {version('wandb')}, which is installed, is not used"
    )
    assert process_cli("runs", "show", "names/one", "--json", cwd=work).code == 0


def test_the_metadata_say_that_it_is_not_wandbs_package(process_cli: Cli, work: Path) -> None:
    asked = """
        from importlib.metadata import distribution, version
        told = distribution("wandb")
        print(told.metadata["Summary"], told.read_text("INSTALLER").strip(), version("wandb"), sep="; ")
        """
    script(work, asked, "asked.py")
    done = process_cli("run", PYTHON, "asked.py", cwd=work)
    assert done.out == (f"artstore under the name wandb, not W&B's package; artstore; {VERSION}+artstore\n"), done


def test_no_file_that_is_shipped_takes_the_name() -> None:
    """No distribution, console script or start-up file is called wandb: what scans for W&B's package finds none."""
    top = Path(artstore.__file__).parents[1]
    project = tomllib.loads((top / "pyproject.toml").read_text())["project"]
    assert list(project["scripts"]) == ["artstore"]
    shipped = [path.relative_to(top).as_posix() for path in Path(artstore.__file__).parent.rglob("*")]
    assert [name for name in shipped if name.endswith((".pth", "-info", "/wandb", "customize.py"))] == []


def test_what_pythonpath_held_stays_and_no_part_of_it_is_empty(process_cli: Cli, work: Path) -> None:
    for before, after in (({}, ""), ({"PYTHONPATH": ""}, ""), ({"PYTHONPATH": "a::b:"}, ":a:b")):
        done = process_cli("run", "--", "sh", "-c", "echo $PYTHONPATH", cwd=work, **before)
        first, colon, rest = done.out.strip().partition(":")
        assert os.listdir(first) == [f"wandb-{VERSION}+artstore.dist-info", "wandb"] or "wandb" in os.listdir(first)
        assert colon + rest == after


def test_runs_are_recorded_where_the_line_says_from_whatever_folder_the_command_works_in(
    process_cli: Cli, work: Path
) -> None:
    (work / "out").mkdir()
    child = f'cd out && {PYTHON} -c \'import wandb; wandb.init(project="names", id="one", dir=".").finish()\''
    done = process_cli("run", "sh", "-c", child, cwd=work)
    assert done.code == 0 and f"recorded in {work}/.artifacts" in done.err, done
    assert [path.parent for path in work.rglob(".artifacts")] == [work]


def test_the_command_takes_the_place_of_artstore(process_cli: Cli, work: Path) -> None:
    """Its exit code is the command's, options behind the command are the command's, and pipes end it as they should."""
    done = process_cli("run", "sh", "-c", "yes | head -n 1; kill -TERM $$", "--help", cwd=work)
    assert (done.code, done.out) == (-15, "y\n")
    assert done.err.count("\n") == 1, done


def test_a_command_that_is_not_there_is_an_error(cli: Cli, work: Path) -> None:
    done = cli("run", "no-such-command", cwd=work)
    assert done.code == 4
    assert done.err.splitlines()[1:] == [
        "error: there is no command 'no-such-command'",
        "hint: is it installed, and on PATH?",
    ]


def test_a_script_that_is_not_a_program_is_an_error_that_says_how(cli: Cli, work: Path) -> None:
    script(work, "print('ran')")
    for given in ("./script.py", "script.py"):
        for path in (f"{work}:/bin", "/bin"):
            done = cli("run", given, "--lr", "1", cwd=work, PATH=path)
            assert (done.code, done.err.splitlines()[2]) == (4, f"hint: `artstore run python {given} --lr 1`")
    (work / "script").write_text("echo ran")
    assert "hint: `artstore run sh ./script` runs a shell script; `chmod +x`" in cli("run", "./script", cwd=work).err


def test_online_mode_asks_for_a_yes(cli: Cli, process_cli: Cli, work: Path) -> None:
    refused = cli("run", "true", cwd=work, WANDB_MODE="online")
    assert refused.code == 6
    assert refused.err.startswith("error: WANDB_MODE=online asks for runs at W&B's server, but here")
    assert process_cli("run", "--yes", "true", cwd=work, WANDB_MODE="online").code == 0


def test_no_key_of_wandb_is_read_printed_or_recorded(process_cli: Cli, work: Path, tmp_path: Path) -> None:
    secret = "0123456789abcdef0123456789abcdef01234567"
    (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {secret}\n")
    script(
        work,
        """
        import sys
        opened = []
        sys.addaudithook(lambda event, given: opened.append(given[0]) if event == "open" else None)
        import wandb
        wandb.ensure_configured()
        assert wandb.login() and wandb.api.api_key, "frameworks ask whether somebody is logged in"
        with wandb.init(config={"a": 1}) as run:
            run.log({"loss": 1})
        print(wandb.api.api_key, [name for name in opened if "netrc" in str(name)])
        """,
    )
    done = process_cli("run", PYTHON, "script.py", cwd=work, WANDB_API_KEY=secret)
    assert (done.code, done.out) == (0, "artstore-needs-no-key []\n"), done
    recorded = b"".join(path.read_bytes() for path in (work / ".artifacts").rglob("*") if path.is_file())
    assert secret.encode() not in recorded
    assert secret not in done.err


def test_a_python_without_artstore_or_with_an_older_one_says_how_to_get_it(process_cli: Cli, work: Path) -> None:
    """`-S` leaves out site-packages, in which artstore is; the second Python of the command has it."""
    (work / "old" / "artstore").mkdir(parents=True)
    (work / "old" / "artstore" / "__init__.py").write_text("__version__ = '0.0.1'\n")
    both = f"{PYTHON} -S -c 'import wandb'; PYTHONPATH=$PYTHONPATH:old {PYTHON} -S -c 'import wandb'; {PYTHON} -c 'import wandb'"
    done = subprocess.run(
        [PYTHON, "-m", "artstore", "run", "sh", "-c", both],
        cwd=work, capture_output=True, text=True, check=True, env=environment(work),
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if line.startswith("ImportError")] == [
        f"ImportError: wandb is artstore here, but this Python {lack}: `{PYTHON} -m pip install -U artstore`"
        for lack in ("has no artstore", "has artstore 0.0.1, which is older than this name for it")
    ]


def test_a_python_that_is_too_old_for_artstore_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    with pytest.raises(
        ImportError, match="^wandb is artstore here, but this Python is older than 3.11, which artstore needs$"
    ):
        exec(folder.FILES["wandb/__init__.py"], {"__name__": "wandb"})


def test_importing_wandb_is_as_light_as_importing_artstore(work: Path, process_cli: Cli) -> None:
    loaded = "import sys, wandb; print(sorted(m for m in sys.modules if m.startswith('artstore')))"
    done = process_cli("run", PYTHON, "-c", loaded, cwd=work)
    below = "artstore.adapters"
    names = ["", ".modules", ".table"]
    expected = ["artstore", "artstore._version", below, *(f"{below}.wandb_names{name}" for name in names)]
    assert done.out == f"{expected}\n", done


def test_the_command_wandb_says_what_it_is_and_prints_no_argument(process_cli: Cli, work: Path) -> None:
    """Scripts call `wandb login KEY` before they begin: they go on. What they can't do without ends them."""
    calls = "wandb login KEY && wandb offline && wandb sync wandb/latest-run; wandb agent TEAM/SWEEP || echo refused"
    calls = calls.replace("wandb ", f"{PYTHON} -m wandb ")
    console = "import sys; sys.argv = ['wandb', '--version']; from wandb.cli.cli import cli; sys.exit(cli())"
    done = process_cli("run", "sh", "-c", f'{calls}; {PYTHON} -c "{console}"', cwd=work)
    assert (done.code, done.out) == (0, "refused\n")
    assert done.err.splitlines()[1:] == [
        f"wandb is artstore here: {what}; `artstore --help` lists the commands that are"
        for what in (
            *(f"`wandb {verb}` did nothing" for verb in ("login", "offline", "sync")),
            "`wandb agent` is not here",
            "there is nothing to call",
        )
    ]


@pytest.mark.long
def test_pip_takes_the_name_for_installed_and_leaves_its_folder_alone(process_cli: Cli, work: Path) -> None:
    import zipfile

    with zipfile.ZipFile(work / "needs-1-py3-none-any.whl", "w") as wheel:
        needs = f"Metadata-Version: 2.1\nName: needs\nVersion: 1\nRequires-Dist: wandb=={VERSION}+artstore\n"
        wheel.writestr("needs-1.dist-info/METADATA", needs)
        wheel.writestr("needs-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("needs-1.dist-info/RECORD", "")
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check"]
    asked = process_cli("run", *pip, "install", "--no-index", "--dry-run", "needs-1-py3-none-any.whl", cwd=work)
    assert (asked.code, asked.out.splitlines()[-1]) == (0, "Would install needs-1"), asked


def test_install_as_wandb_gives_the_name_to_this_process_and_its_children(work: Path, process_cli: Cli) -> None:
    for name in ("transformers", "accelerate", "lightning"):
        (work / f"{name}.py").write_text("")
    text = """
        import os, subprocess, sys
        import artstore

        artstore.install_as_wandb()
        artstore.install_as_wandb()
        import transformers, wandb
        from importlib.metadata import version
        artstore.install_as_wandb()  # nothing is left to do
        assert wandb.init is artstore.init and version("wandb").endswith("+artstore")
        assert os.environ["PYTHONPATH"] == sys.path[0] and sys.path.count(sys.path[0]) == 1
        subprocess.run([sys.executable, "-c", "import wandb, artstore; assert wandb.init is artstore.init"], check=True)
        del sys.modules["wandb"]
        for earlier in ("accelerate", "lightning", "wandb"):
            sys.modules.pop("transformers", None)
            __import__(earlier) if earlier != "wandb" else sys.modules.update(wandb=transformers)
            try:
                artstore.install_as_wandb()
            except artstore.errors.Refused as error:
                print(error)
            sys.modules.pop(earlier)
        """
    script(work, text)
    done = subprocess.run(
        [PYTHON, "script.py"], cwd=work, capture_output=True, text=True,
        env=environment(work),
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "accelerate is already imported, and has looked for wandb",
            "lightning is already imported, and has looked for wandb",
            "W&B's package wandb is already imported",
        ],
    ), done.stderr


def test_a_name_that_is_not_here_is_an_error_that_lists_what_is() -> None:
    """`from … import` says it in Python's own words; an attribute, in ours."""
    module: dict[str, object] = {}
    stand_in("artstore.sdk.lib.runid", module)
    with pytest.raises(AttributeError, match="has no 'nothing': it has generate_fast_id, generate_id"):
        module["__getattr__"]("nothing")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("import artstore.apis.reports as wr", "artstore.apis.reports is not here: there are no reports"),
        ("from artstore.apis import reports", "artstore.apis.reports is not here: there are no reports"),
        ("from artstore.sdk.launch.agent import LaunchAgent", "artstore.sdk.launch is not here: it starts no jobs"),
        (
            "import artstore; artstore.sdk.launch",
            "artstore.sdk is artstore's here, which has no 'launch': it starts no jobs",
        ),
        (
            "from artstore.apis.importers.mlflow import MlflowImporter",
            "artstore.apis.importers is not here: `artstore import` imports from MLflow and W&B",
        ),
    ],
)
def test_a_module_that_means_nothing_here_says_why(statement: str, reason: str) -> None:
    with pytest.raises((ImportError, AttributeError)) as raised:
        exec(statement)
    assert str(raised.value) == reason
    assert not hasattr(artstore.apis, "reports")


def test_each_name_of_each_module_is_here() -> None:
    for names in MODULES.values():
        for name, home in names.items():
            module, _, own = home.rpartition(".")
            if module.startswith("artstore.adapters.frameworks."):
                continue  # test_integrations.py: the frameworks may be absent
            assert hasattr(importlib.import_module(module), own), (name, home)


def test_the_folder_is_made_whole_again_and_nobody_else_may_write_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Path(folder.folder_of_names())
    (made / "wandb" / "__init__.py").write_text("raise SystemExit")
    (made / "wandb" / "__main__.py").unlink()
    assert Path(folder.folder_of_names()) == made
    assert {name: (made / name).read_text() for name in folder.FILES} == folder.FILES
    (made / "wandb").chmod(0o777)
    with pytest.raises(Refused, match="others may write to .*, from which Python would run code"):
        folder.folder_of_names()
    (made / "wandb").chmod(0o700)
    (tmp_path / "cache" / "artstore").chmod(0o777)
    with pytest.raises(Refused, match="others may write to .*/cache/artstore, from which Python would run code"):
        folder.folder_of_names()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a:b"))
    with pytest.raises(ArtstoreError, match="can't be on PYTHONPATH"):
        folder.folder_of_names()


def test_arguments_of_init_that_a_script_would_miss_are_warned_about(here: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"init\(sync_tensorboard=…\) changes nothing: TensorBoard's files aren't read"
    ):
        artstore.init(sync_tensorboard=True, save_code=True, monitor_gym=False)


def test_config_before_init_says_what_is_missing(here: Path) -> None:
    names: dict[str, object] = {}
    exec("from artstore import *", names)
    assert names["run"] is None
    for use in (lambda: artstore.config.lr, lambda: artstore.config.update({}), lambda: artstore.config["lr"]):
        with pytest.raises(artstore.Error, match=r"You must call wandb.init\(\) before wandb.config"):
            use()
    with pytest.raises(artstore.Error, match=r"before wandb.summary.loss"):
        artstore.summary.loss = 1
    artstore.init(config={"lr": 0.1})
    assert artstore.config.lr == 0.1


def test_what_only_decorates_changes_nothing_and_sweeps_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_SILENT", raising=False)
    for text in ("one", "one"):
        artstore.termwarn(text, repeat=False)
    artstore.termlog("two", newline=False)
    artstore.termsetup(None, None)
    artstore.termerror("three")
    monkeypatch.setenv("WANDB_SILENT", "true")
    artstore.termerror("four")
    assert capsys.readouterr().err == "artstore: warning: one\nartstore: twoartstore: error: three\n"
    artstore.require("service")
    artstore.unwatch(None)
    assert artstore.AlertLevel.WARN.value == "WARN"
    for refused in (artstore.sweep, artstore.agent, artstore.controller):
        with pytest.raises(UnsupportedError, match="artstore has no sweeps"):
            refused({})
    run = artstore.init(project="names")
    assert artstore.attach(run.id) is artstore.attach(run_id=run.path) is run
    with pytest.raises(artstore.UsageError, match=r"Either \(`attach_id` or `run_id`\) or `run` must be specified"):
        artstore.attach()
    artstore.teardown(3)
    again = artstore.attach(run._attach_id)
    assert (again.path, again.resumed) == (run.path, True)
    artstore.join()
    assert artstore.run is None


def test_inner_functions_do_what_frameworks_ask_of_them(tmp_path: Path) -> None:
    from artstore.adapters.wandb_names import hooks, library

    with library.context(run=None) as told:
        told.feature.keras = True
    assert library.json_dumps_safer({"a": {1, 2}, "b": float("nan")}) == '{"a": [1, 2], "b": "NaN"}'
    assert hooks.get_module("no.such.module") is None
    with pytest.raises(artstore.Error, match="needs it"):
        hooks.get_module("no.such.module", required="needs it")
    called: list[str] = []
    (tmp_path / "late_module.py").write_text("value = 1")
    sys.path.insert(0, str(tmp_path))
    try:
        hooks.add_import_hook("late_module", lambda: called.append(importlib.import_module("late_module").value))
        assert called == []
        importlib.import_module("late_module")
        hooks.add_import_hook("late_module", lambda: called.append("at once"))
    finally:
        sys.path.remove(str(tmp_path))
    assert called == [1, "at once"]
    assert library.LogicalPath("a/b.txt") == "a/b.txt" and library.LogicalPath("a/b.txt").parent / "c" == "a/c"
    assert library.make_artifact_name_safe("a b/c") == "a_b_c"
    assert library.merge_dicts({"a": {"b": 1}}, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}


def test_digests_are_those_that_wandb_makes(tmp_path: Path) -> None:
    from wandb.sdk.lib import hashutil

    from artstore.adapters.wandb_names import digests

    for name, text in (("a", "one"), ("b", "")):
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in "ba"]
    assert digests.md5_string("é") == hashutil.md5_string("é")
    assert digests.md5_file_b64(*files) == hashutil.md5_file_b64(*files)
    assert digests.md5_file_hex(files[1]) == hashutil.md5_file_hex(files[1])
    assert digests.b64_to_hex_id(digests.hex_to_b64_id(b"00ff")) == hashutil.b64_to_hex_id(
        hashutil.hex_to_b64_id("00ff")
    )
