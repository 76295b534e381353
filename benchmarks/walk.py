"""The floor of everything that looks at a folder: a bare walk, scandir and stat, in a Python process of its own."""

import os
import sys


def walk(folder: str) -> int:
    """Stat every file below the folder; returns how many there are."""
    files, todo = 0, [folder]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)
                    files += 1
    return files


if __name__ == "__main__":
    print(walk(sys.argv[1]))
