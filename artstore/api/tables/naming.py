"""What the files of tables are called. Apart from their content, so that commands that read no table load no media."""

SUFFIX = ".table.json"
ENDING = "table.json"
"""What the name of a table's file ends with. W&B adds SUFFIX to other names."""


def is_table(path: str) -> bool:
    """Whether a path is that of a table's file. Joined and partitioned tables have files of their own."""
    return path.endswith(ENDING) and not path.endswith((".joined-table.json", ".partitioned-table.json"))
