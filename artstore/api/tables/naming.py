"""What the files of tables are called. Apart from their content, so that commands that read no table load no media."""

SUFFIX = ".table.json"
ENDING = "table.json"
"""What the name of a table's file ends with. W&B adds SUFFIX to other names."""
JOINED, PARTITIONED = GROUP_SUFFIXES = (".joined-table.json", ".partitioned-table.json")
"""What the names of the files end with that join two tables, or that make the tables in a folder one."""


def is_table(path: str) -> bool:
    """Whether a path is that of a table's file. Joined and partitioned tables have files of their own."""
    return path.endswith(ENDING) and not is_group(path)


def is_group(path: str) -> bool:
    """Whether a path is that of the file of a joined or partitioned table."""
    return path.endswith(GROUP_SUFFIXES)


def with_suffixes(name: str) -> tuple[str, ...]:
    """The paths at which a file or table with this name may be."""
    return name, name + SUFFIX, *(name + suffix for suffix in GROUP_SUFFIXES)
