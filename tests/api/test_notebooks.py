"""What a notebook shows: small tables of escaped text, and what `import artstore` makes public."""

import subprocess
import sys
from pathlib import Path

import pytest

import artstore
import artstore as wandb
from tests.support.folders import make_tree


def test_artifacts_versions_diffs_and_runs_show_as_escaped_tables(here: Path) -> None:
    make_tree(here, {"a<b>": "1", "c": "2"})
    with wandb.init(project="<p>", job_type="train", config={"<k>": "<v>"}) as run:
        draft = wandb.Artifact("data", type="dataset", description="<script>", metadata={"<m>": "<n>"})
        draft.add_file("a<b>")
        assert "<th>state</th><td>PENDING</td>" in draft._repr_html_()
        run.log_artifact(draft, aliases=["best"])
        other = draft.new_draft()
        other.add_file("c")
        run.log_artifact(other)
        shown = [
            draft._repr_html_(),
            draft.diff(other)._repr_html_(),
            run._repr_html_(),
            run.logged_artifacts()[0]._repr_html_(),
        ]
    assert (
        "<strong>local/&lt;p&gt;/data:v0</strong>" in shown[0] and "<th>aliases</th><td>latest, best</td>" in shown[0]
    )
    assert "&lt;script&gt;" in shown[0] and "<th>metadata &lt;m&gt;</th>" in shown[0]
    assert "<tr><th>A</th><td>c</td></tr>" in shown[1] and "1 added, +1 B" in shown[1]
    assert "<th>logged</th><td>&lt;p&gt;/data:v1</td>" in shown[2] and "<th>config &lt;k&gt;</th>" in shown[2]
    for html in shown:
        assert html.startswith("<div>") and html.endswith("</div>") and "<script" not in html and "<p>" not in html


def test_a_lineage_shows_as_a_picture_of_escaped_text(here: Path) -> None:
    with wandb.init(project="p", id="made", name="<b>run</b>") as run:
        artifact = wandb.Artifact("data", type="dataset")
        with artifact.new_file("f") as file:
            file.write("1")
        run.log_artifact(artifact)
    picture = artifact.lineage()._repr_svg_()
    assert (
        picture.startswith("<svg ")
        and "data:v0" in picture
        and "&lt;b&gt;run&lt;/b&gt;" in picture
        and "<b>" not in picture
    )


def test_a_diff_of_many_files_shows_a_hundred_and_says_how_many_more(here: Path) -> None:
    make_tree(here / "many", {f"{number:03}": str(number) for number in range(150)})
    empty, full = wandb.Artifact("data"), wandb.Artifact("data")
    empty.save()
    full.add_dir("many")
    full.save()
    html = empty.diff(full)._repr_html_()
    assert html.count("<th>A</th>") == 100 and "and 50 more" in html


def test_no_public_name_is_that_of_a_module() -> None:
    """Importing a submodule sets an attribute of the package: `artstore.log` must stay the function."""
    paths = [path for folder in artstore.__path__ for path in Path(folder).iterdir()]
    modules = {path.stem for path in paths if path.suffix == ".py" or path.is_dir()}
    assert modules & set(artstore.__all__) == {"automations", "errors", "plot", "references", "sklearn"}  # modules


def test_importing_artstore_loads_none_of_its_dependencies() -> None:
    code = "import sys, artstore; print(sorted({'click', 'filelock', 'msgpack', 'blake3'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_names_of_wandb_that_are_not_here_say_so() -> None:
    for thing, name, why in (
        (wandb, "Graph", "artstore has no 'Graph': it draws no graphs of models"),
        (wandb.Api(), "reports", "artstore's Api has no 'reports': there are no reports"),
        (wandb, "nothing", "artstore has no 'nothing'"),
    ):
        with pytest.raises(AttributeError, match=f"^{why}$"):
            getattr(thing, name)
