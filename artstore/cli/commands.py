"""Groups of commands, with suggestions for unknown ones."""

from typing import Any

import click


class UsageError(click.UsageError):
    """An error in the command line, with a hint of its own."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


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
            from artstore.cli.habits import meant_by
            from artstore.domain.names import printable

            root = ctx.find_root()
            assert isinstance(root.command, click.Group)
            group = ctx.command_path.removeprefix(root.command_path).lstrip()
            hint = meant_by(args[0], group, names, root.command.list_commands(root))
            hint = hint or f"`{ctx.command_path} --help` lists the commands"
            raise UsageError(f"there is no command '{printable(args[0])}'", hint)
        return super().resolve_command(ctx, args)
