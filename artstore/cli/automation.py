"""automation: a user's own commands and webhooks that run on events. None is stored in the repository."""

import json
import os
import shlex
import time
from typing import Any

import click

from artstore.cli.commands import Commands
from artstore.cli.output import answer, day, json_option, listing, open_repository, time_head
from artstore.domain.filters import parsed
from artstore.domain.names import as_project, check_project, collection_named, printable
from artstore.domain.wording import moment, typed
from artstore.errors import InvalidValue
from artstore.operations.automation import rules
from artstore.operations.automation.events import Event, EventType
from artstore.operations.automation.rules import Rule
from artstore.repository import Repository

_EVENTS = {
    "created": EventType.CREATE_ARTIFACT, "linked": EventType.LINK_ARTIFACT, "unlinked": EventType.UNLINK_ARTIFACT,
    "deleted": EventType.DELETE_ARTIFACT, "alias-added": EventType.ADD_ARTIFACT_ALIAS,
    "alias-removed": EventType.REMOVE_ARTIFACT_ALIAS, "tag-added": EventType.ADD_ARTIFACT_TAG,
    "tag-removed": EventType.REMOVE_ARTIFACT_TAG, "collection-tag-added": EventType.ADD_COLLECTION_TAG,
    "collection-tag-removed": EventType.REMOVE_COLLECTION_TAG, "run-state": EventType.RUN_STATE,
    "run-metric": EventType.RUN_METRIC_THRESHOLD,
}  # fmt: skip
_CMP = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}


@click.group("automation", cls=Commands, old_names={"list": "ls", "delete": "rm"})
def automation_command() -> None:
    """Run commands and webhooks on events, such as a new version.

    Automations are stored in your own configuration folder, for this repository at its current path. They aren't stored
    in the repository, so they aren't pushed or cloned. Only changes that you make yourself trigger them, not changes
    that push, pull or gc make.
    """


@automation_command.command("create")
@click.argument("name")
@click.option(
    "--on", "event", type=click.Choice(list(_EVENTS)), metavar="EVENT", required=True, help="Event that triggers it."
)
@click.option("--scope", help="NAME, PROJECT/NAME, PROJECT/ or ENTITY/PROJECT/NAME  [default: the whole repository]")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only if this holds: 'alias=prod', 'tag~^v', 'state=failed', 'type=model'; may be repeated.",
)
@click.option(
    "--metric", metavar="CONDITION", help="With --on run-metric: 'loss<0.1', or over the last 5 'mean(loss,5)<0.1'."
)
@click.option(
    "--run",
    "command",
    metavar="COMMAND",
    help="Run this command, without a shell. It gets the event as JSON on standard input.",
)
@click.option("--webhook", metavar="URL", help="POST the event as JSON to this address.")
@click.option("--payload", help="JSON to post instead, or @FILE; may contain ${alias}, ${artifact_collection_name}, …")
@click.option("--secret-env", metavar="VARIABLE", help="Environment variable whose secret signs the body.")
@click.option(
    "--token-env", metavar="VARIABLE", help="Environment variable whose token is sent as Bearer authorization."
)
@click.option("-d", "--description", help="Description of the automation.")
@json_option
def create_command(
    name: str, event: str, scope: str | None, where: tuple[str, ...], metric: str | None, command: str | None,
    webhook: str | None, payload: str | None, secret_env: str | None, token_env: str | None, description: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Create an automation that runs a command or calls a webhook on an event.

    \b
    Events: created linked unlinked deleted alias-added alias-removed tag-added tag-removed
            collection-tag-added collection-tag-removed run-state run-metric
    """
    if (command is None) == (webhook is None):
        raise InvalidValue("give either --run COMMAND or --webhook URL")
    if command is not None:
        if payload or secret_env or token_env:
            raise InvalidValue("--payload, --secret-env and --token-env need --webhook")
        action: dict[str, Any] = {"kind": rules.COMMAND, "argv": _argv(command)}
    else:
        action = {
            "kind": rules.WEBHOOK, "url": webhook, "payload": _json(payload), "secret_env": secret_env, "token_env": token_env,
        }  # fmt: skip
    with open_repository() as repository:
        rule: Rule = {
            "id": os.urandom(8).hex(), "name": name, "description": description, "enabled": True,
            "event": _EVENTS[event].value, "scope": _scope(repository, scope), "filter": parsed(where),
            "metric": _metric(metric), "action": action, "created": moment(time.time_ns()), "updated": None,
        }  # fmt: skip
        rules.save_rule(repository.automations.place, rule, new=True)
    try_it = f"try it with: {typed('automation test', name).strip('`')}"
    answer(as_json, rule, f"created automation {printable(name)}: {_in_words(rule)}", try_it)


def _argv(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InvalidValue(
            f"'{printable(command)}' is not a command: {error}".lower(), hint="quote it as for a shell"
        ) from error


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        if text.startswith("@"):
            with open(text[1:], encoding="utf-8") as file:
                return json.load(file)
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidValue(f"cannot read the payload as JSON: {error}") from error


def _scope(repository: Repository, text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    if text.endswith("/"):
        entity, _, project = text[:-1].rpartition("/")
        entity = check_project(entity or repository.settings.entity, "entity")
        return {"entity": entity, "project": as_project(project)}
    path = repository.refs.read(repository.path_of(collection_named(text))[0]).path  # follows a rename
    return {"entity": path.entity, "project": path.project, "collection": path.name}


def _metric(text: str | None) -> dict[str, Any] | None:
    """Parse a threshold such as `loss<0.1` or `mean(loss,5)<0.1`."""
    if text is None:
        return None
    import re

    match = re.fullmatch(r"\s*(?:(mean|min|max)\(([^,()]+),\s*(\d+)\)|([^<>=(),]+?))\s*(<=|>=|<|>)\s*(\S+)\s*", text)
    try:
        threshold = float(match[6]) if match else float("nan")
    except ValueError:
        match = None
    if match is None or (match[3] and int(match[3]) < 1):
        raise InvalidValue(
            f"'{printable(text)}' is not a threshold",
            hint="quote it, because a shell reads < and > as redirections: 'loss<0.1', or 'mean(loss,5)<0.1'",
        )
    window = int(match[3]) if match[3] else 1
    return {
        "name": (match[2] or match[4]).strip(), "agg": match[1], "window": window, "cmp": _CMP[match[5]], "threshold": threshold,
    }  # fmt: skip


def _in_words(rule: Rule) -> str:
    events = {type.value: name for name, type in _EVENTS.items()}
    scope = "/".join(rule["scope"].values()) or "all"
    action = rule["action"]
    does = shlex.join(action["argv"]) if action["kind"] == rules.COMMAND else action.get("url") or "nothing"
    where = f" where {_typed(rule['filter'])}" if rule["filter"] else ""
    return f"{events[rule['event']]} in {scope}{where} → {does}"


def _typed(condition: dict[str, Any]) -> str:
    """A filter in the syntax of `--where`; conditions that it can't express are shown as JSON."""
    signs = {"$eq": "=", "$ne": "!=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<=", "$regex": "~"}
    parts = condition["$and"] if condition.keys() == {"$and"} else [condition]
    texts = []
    for key, wanted in (item for part in parts for item in part.items()):
        name = next(iter(wanted), "") if isinstance(wanted, dict) and len(wanted) == 1 else ""
        short = name in signs and not key.startswith("$")
        texts.append(f"{key}{signs[name]}{wanted[name]}" if short else json.dumps({key: wanted}))
    return ", ".join(texts)


@automation_command.command("ls")
@json_option
def ls_command(as_json: bool) -> None:
    """List your automations for this repository."""
    with open_repository() as repository:
        found = rules.all_rules(repository.automations.place)
        _, unasked = rules.rules_for(repository.automations.place)
    rows = [(r["name"], "on" if r["enabled"] else "off", _in_words(r), r["description"] or "") for r in found]
    nothing = "there are no automations; see `artstore automation create --help`"
    listing(as_json, found, rows, ("NAME", "STATE", "WHAT", "DESCRIPTION"), nothing)
    if unasked and not as_json:
        click.echo("automations may not run at this path yet; `artstore automation allow` allows them", err=True)


@automation_command.command("rm")
@click.argument("name")
@json_option
def rm_command(name: str, as_json: bool) -> None:
    """Delete an automation."""
    with open_repository() as repository:
        rule = rules.delete_rule(repository.automations.place, name)
    answer(as_json, {"deleted": rule["name"]}, f"deleted automation {printable(rule['name'])}")


@automation_command.command("enable")
@click.argument("name")
@click.option("--off", is_flag=True, help="Disable it instead.")
def enable_command(name: str, off: bool) -> None:
    """Enable an automation, or disable it with --off."""
    with open_repository() as repository:
        rule = rules.find_rule(repository.automations.place, name)
        rules.save_rule(repository.automations.place, rule | {"enabled": not off}, new=False)
    click.echo(f"automation {printable(rule['name'])} is {'off' if off else 'on'}")


@automation_command.command("allow")
@click.option("--not", "refused", is_flag=True, help="Never run them at this path, and don't ask.")
def allow_command(refused: bool) -> None:
    """Allow your automations for this repository to run at its current path."""
    with open_repository() as repository:
        rules.decide(repository.automations.place, not refused)
        root = repository.automations.place.root
    click.echo(f"automations {'do not run' if refused else 'run'} at {printable(root)}")


@automation_command.command("test")
@click.argument("name")
@json_option
@click.pass_context
def test_command(ctx: click.Context, name: str, as_json: bool) -> None:
    """Run an automation now, with a made-up event, and show the result."""
    from artstore.operations.automation.worker import perform

    with open_repository() as repository:
        rule = rules.find_rule(repository.automations.place, name)
        outcome, output = perform(rule, _made_up(repository, rule), repository.automations.place.root, 1)
    shown = [printable(output.rstrip("\n")).replace("\\x0a", "\n")] if output else []
    value = {"automation": rule["name"], "outcome": outcome, "output": output}
    answer(as_json, value, *shown, f"{printable(rule['name'])}: {printable(outcome)}")
    if outcome != "ok":
        ctx.exit(1)


def _made_up(repository: Repository, rule: Rule) -> Event:
    scope = rule["scope"]
    entity = scope.get("entity", repository.settings.entity)
    event: Event = {
        "event": rule["event"], "time": moment(time.time_ns()), "user": repository.settings.identity()[1], "test": True,
        "entity": entity, "project": scope.get("project", repository.settings.project), "repository": repository.root,
    }  # fmt: skip
    if rule["event"].startswith("RUN_"):
        metric = rule.get("metric") or {}
        return {
            **event, "run": "test", "name": "test", "state": "finished", "metric": metric.get("name"),
            "value": metric.get("threshold"),
        }  # fmt: skip
    name = scope.get("collection", "test")
    spec = f"{entity}/{event['project']}/{name}:v0"
    return {
        **event, "collection": name, "version": "v0", "spec": spec, "type": "test", "alias": "test", "tag": "test",
        "metadata": {},
    }  # fmt: skip


@automation_command.command("log")
@click.argument("name", required=False)
@click.option(
    "-n", "number", type=click.IntRange(min=1), metavar="N", default=20, show_default=True, help="Show the newest N."
)
@json_option
def log_command(name: str | None, number: int, as_json: bool) -> None:
    """List what automations did, newest first."""
    from artstore.operations.automation.worker import read_log

    with open_repository() as repository:
        place = repository.automations.place
        ids, places = {rule["id"] for rule in rules.all_rules(place)}, (repository.root, place.root)
        lines = [line for line in read_log() if line["id"] in ids or line["repository"] in places]
        lines = [line for line in lines if name in (None, line["automation"], line["id"])][::-1][:number]
        if name is not None and not lines:
            rules.find_rule(place, name)  # raises NotFound with similar names
    rows = [
        (
            day(str(line["time"]), to_second=True), line["automation"], line["event"], line["about"] or "-",
            f"{line['seconds'] or 0:.1f} s", line["outcome"],
        )
        for line in lines
    ]  # fmt: skip
    head = (time_head("DONE"), "AUTOMATION", "EVENT", "ABOUT", "TOOK", "OUTCOME")
    listing(as_json, lines, rows, head, "no automation has run yet", right=(4,))
