"""Groups of commands, with suggestions for unknown ones."""

from typing import Any

import click


class UsageError(click.UsageError):
    """An error in the command line, with a hint of its own."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


OTHERS = {
    "add": "put", "commit": "put", "save": "put", "upload": "put", "checkout": "get", "download": "get", "restore": "get",
    "del": "rm", "delete": "rm", "remove": "rm", "copy": "cp", "move": "mv", "rename": "mv", "dir": "ls", "list": "ls",
    "history": "log", "versions": "log", "info": "show", "describe": "show", "compare": "diff", "sync": "push",
}  # fmt: skip
"""Words of git, DVC, W&B and shells, and our commands for them."""


class Commands(click.Group):
    """A group that lists its commands in the order of their definition and suggests similar names for unknown ones."""

    def __init__(self, *arguments: Any, old_names: dict[str, str] | None = None, **options: Any) -> None:
        """`old_names` are names that commands had before, which still work."""
        super().__init__(*arguments, **options)
        self.old_names = old_names or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, self.old_names.get(cmd_name, cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from artstore.domain.names import printable
            from artstore.domain.wording import near

            meant = OTHERS.get(args[0].lower(), "")
            hint = near(meant if meant in names else args[0], names)
            hint = hint or f"`{ctx.command_path} --help` lists the commands"
            if args[0] == "version" and ctx.parent is None:
                hint = "`artstore --version` shows it"
            raise UsageError(f"there is no command '{printable(args[0])}'", hint)
        return super().resolve_command(ctx, args)
