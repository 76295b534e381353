"""Nothing of served remotes is loaded unless one is opened."""

import subprocess
import sys
from pathlib import Path

from tests.support.commands import environment

COMMANDS = """
import sys
from artstore.repository import Repository
from pathlib import Path
Path("f").write_text("1")
with Repository.init("one/.artifacts") as one:
    one.put("f", "f")
    one.remotes.add("nas", "nas", make=True)
    one.push()
    one.get(one.find("f"), "got")
print(*(name for name in sys.modules if "served" in name or name in ("ssl", "http.client")))
"""


def test_an_exchange_with_a_folder_loads_no_client(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""
