"""Changing single lines of a settings file, so that its comments and all other lines stay. Pure."""

import re


def with_line(lines: list[str], section: str, name: str, value: str | None) -> list[str]:
    """The lines of a settings file after one setting was changed, added or (None) removed."""
    inside, at, end = False, None, None
    for number, line in enumerate(lines):
        if line.strip().startswith("["):
            inside = line.strip() == f"[{section}]"
        if inside:
            end = number + 1 if line.strip() else end
            if re.match(rf"\s*{re.escape(name)}\s*[=:]", line, re.IGNORECASE):
                at = number
    new = [] if value is None else [f"{name} = {value}"]
    if at is not None:
        return lines[:at] + new + lines[at + 1 :]
    if end is not None:
        return lines[:end] + new + lines[end:]
    return lines + ([f"[{section}]", *new] if new else [])


def without_section(lines: list[str], section: str) -> list[str]:
    """The lines of a settings file without one section."""
    kept, inside = [], False
    for line in lines:
        if line.strip().startswith("["):
            inside = line.strip() == f"[{section}]"
        if not inside:
            kept.append(line)
    return kept
