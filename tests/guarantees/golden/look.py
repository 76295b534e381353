"""Look at a repository as a process that may write nothing: by the package, and by the commands that read.

`python -m tests.guarantees.golden.look FOLDER [absent]` prints what the package reads, and how each command ended.
"""

import json
import os
import sys
from pathlib import Path

from artstore.repository import Repository
from tests.guarantees.golden.tell import by_package
from tests.support import in_process

COMMANDS = ("ls", "runs ls", "du", "fsck")

if __name__ == "__main__":
    folder, *absent = sys.argv[1:]
    with Repository(folder) as repository:
        told = by_package(repository, absent=bool(absent))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = {}
    for command in COMMANDS:
        done = in_process.run(command.split(), Path.cwd(), environment | {"ARTSTORE_DIR": folder})
        assert "Traceback" not in done.stderr, done.stderr
        ended[command] = done.returncode
    print(json.dumps([told, ended]))
