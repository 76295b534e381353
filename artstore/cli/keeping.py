"""fsck, doctor, gc, pack, keep, prune, du: check a repository, clean it up and measure it."""

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from artstore.api.progress.bar import Bar
from artstore.backends.owner import is_alive, parse
from artstore.cli import output
from artstore.cli.arguments import SPEC
from artstore.cli.output import (
    json_option,
    open_repository,
    open_view,
    print_json,
    remote_argument,
    report_damage,
    table,
)
from artstore.domain.names import printable
from artstore.domain.wording import count, first_of, human, typed
from artstore.errors import Damage, InvalidValue, StorageError
from artstore.store.settings import root_to_create

if TYPE_CHECKING:
    from artstore.operations.changing.retention import Kept
    from artstore.operations.doctor.fitness import Finding
    from artstore.operations.upkeep.collect import Collected
    from artstore.operations.upkeep.packing import Packing
    from artstore.operations.upkeep.usage import Usage


@click.command("fsck")
@click.option("--quick", is_flag=True, help="Check everything except the content of blobs.")
@click.option("--repair", is_flag=True, help="Store lost objects again if a copy can be found.")
@remote_argument
@json_option
@click.pass_context
def fsck_command(ctx: click.Context, quick: bool, repair: bool, place: str | None, as_json: bool) -> None:
    """Check everything that is stored, here or at a remote.

    It checks objects, packs, trees, versions, logs, checkpoints and runs, and notes damaged copies, so that the next
    save of the same content stores it again. A remote's logs are compared with what was last seen of them. Exits with 7
    if anything is damaged or missing.

    --repair looks for lost objects in damaged files, in folders that were saved or restored here, and in all remotes
    (for a remote: in this repository). It checks and stores what it finds, and moves damaged files to bad/.
    """
    from artstore.operations.upkeep.fsck import NO_COPY

    with Bar() as bar, open_view(place, writing=True) as repository:
        report = repository.fsck(quick=quick, repair=repair, monitor=bar)
    if as_json:
        print_json({"ok": not report.problems, **report._asdict()})
    else:
        for word, found in (("repaired", report.mended), ("problem", report.problems), ("note", report.notes)):
            for text in found:
                click.echo(f"{word}: {text}")
        verdict = count(len(report.problems), "problem") if report.problems else "no problems found"
        checked = (
            f"{count(report.versions, 'version')}, {count(report.objects, 'object')}, {human(report.bytes)} hashed"
        )
        click.echo(f"{verdict}: {checked}")
    if not repair and not all(text.endswith(NO_COPY) for text in report.problems):
        remote = [place] if place is not None else []
        click.echo(f"hint: {typed('fsck --repair', *remote)} looks for good copies of what is lost", err=True)
    if report.problems:
        ctx.exit(Damage.exit_code)


@click.command("doctor")
@json_option
@click.pass_context
def doctor_command(ctx: click.Context, as_json: bool) -> None:
    """Check whether this machine and its file system suit a repository.

    It checks the repository here, or the place where one would be made. Each line shows what it found and what artstore
    does about that. Exits with 1 if there is a problem: something that can lose work or make commands fail. It leaves
    no files behind, contacts no bucket and reads no stored data (`fsck` does that).
    """
    from artstore.operations.doctor.examine import examine

    with Bar() as bar:
        result = examine(root_to_create(), bar)
    if as_json:
        findings = [finding._asdict() for finding in result.findings]
        print_json({"ok": not result.problems, **result._asdict(), "findings": findings})
    else:
        for finding in result.findings:
            _print_finding(finding, max(len(each.what) for each in result.findings))
        verdict = count(result.problems, "problem") if result.problems else "no problems found"
        click.echo(f"{verdict}; {count(result.notes, 'note')}")
    if result.problems:
        ctx.exit(1)


_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


def _print_finding(finding: "Finding", width: int) -> None:
    """Print a finding on one line. On a terminal, long text is wrapped beside the first two columns."""
    text = printable(f"{finding.found}: {finding.effect}" if finding.effect else finding.found)
    indent = " " * (len("problem") + 2 + width + 2)
    lines = [text]
    if sys.stdout.isatty():
        import textwrap

        lines = textwrap.wrap(text, max(40, output.terminal_width() - len(indent)), break_long_words=False)
    click.echo(f"{output.paint(f'{finding.mark:7}', _COLOURS[finding.mark])}  {finding.what:{width}}  {lines[0]}")
    for line in lines[1:]:
        click.echo(indent + line)


@click.command("gc")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be freed, to the byte; change nothing.")
@click.option("--now", is_flag=True, help="Free the space now instead of after the grace period (gc.grace, 24 h).")
@click.option("--abandon", metavar="ID", help="Treat this transaction as dead, even if that can't be proved.")
@click.option("--force", is_flag=True, help="With --abandon: even if its process is running here.")
@remote_argument
@json_option
@click.pass_context
def gc_command(
    ctx: click.Context, dry_run: bool, now: bool, abandon: str | None, force: bool, place: str | None, as_json: bool
) -> None:
    """Delete data that no version uses, here or at a remote.

    It is safe to run during saves and other gc runs. The data stays in the trash for a grace period (gc.grace) before
    its space is freed.
    """
    if force and abandon is None:
        raise InvalidValue("--force needs --abandon ID")
    with Bar() as bar, open_view(place, writing=True) as repository:
        result = repository.gc(now=now, dry_run=dry_run, abandon=abandon, force=force, monitor=bar)
    if as_json:
        print_json({"dry_run": dry_run, **result._asdict()})
    else:
        _print_collected(result, dry_run)
    if result.problems:
        ctx.exit(StorageError.exit_code)


def _print_collected(result: "Collected", dry_run: bool) -> None:
    freed = _exact(result.freed_bytes)
    click.echo(f"{'would free' if dry_run else 'freed'} {freed}; {count(result.versions, 'live version')}")
    if result.trashed_bytes:
        moved = f"{'would move' if dry_run else 'moved'} {human(result.trashed_bytes)} to the trash"
        click.echo(f"{moved}; gc frees it after the grace period, gc --now at once; until then undelete works")
    if result.dead_bytes_kept:
        click.echo(f"{human(result.dead_bytes_kept)} of unused data stays in packs that are at least half in use")
    how_much = "not all" if result.freed_bytes > 0 else "nothing"
    for name in result.waits_for:
        click.echo(f"{how_much} was freed, because of open work: {_at_work(name)}")
    _print_problems(result.problems, "pack", "collected", "; the next gc tries again")


def _print_problems(problems: tuple[str, ...], noun: str, done: str, more: str = "") -> None:
    for problem in problems:
        click.echo(f"problem: {problem}")
    if problems:
        click.echo(f"error: {count(len(problems), noun)} could not be {done}", err=True)
        click.echo(f"hint: `artstore fsck` shows details{more}", err=True)


@click.command("pack")
@click.option("-n", "--dry-run", is_flag=True, help="Estimate what would be saved; change nothing.")
@remote_argument
@json_option
@click.pass_context
def pack_command(ctx: click.Context, dry_run: bool, place: str | None, as_json: bool) -> None:
    """Store files smaller, here or at a remote: compressed, and what several large ones have in common only once.

    Small files (below 1 MiB) are compressed together with their neighbours. Nothing that you see changes: ids,
    digests, files. Files that wouldn't get smaller stay as they are. Each packed file is read back from the disk
    before the plain one is removed. Saves and reads may go on meanwhile.
    """
    with Bar() as bar, open_view(place, writing=True) as repository:
        result = repository.pack(dry_run=dry_run, monitor=bar)
    if as_json:
        print_json({"dry_run": dry_run, **result._asdict()})
    else:
        _print_packed(result, dry_run)
    if result.problems:
        ctx.exit(StorageError.exit_code)


def _print_packed(result: "Packing", dry_run: bool) -> None:
    if not (result.blobs or result.small_blobs):
        click.echo("no file would get smaller")
    for files, noun, before, after in (
        (result.blobs, "large file", result.blob_bytes, result.stored_bytes),
        (result.small_blobs, "small file", result.small_bytes, result.small_stored_bytes),
    ):
        if files:
            what = f"{'would pack' if dry_run else 'packed'} {count(files, noun)}: {human(before)}"
            click.echo(f"{what} {'would take about' if dry_run else 'take'} {human(after)}{'' if dry_run else ' now'}")
    if result.linked:
        linked = "is linked to, and stays" if result.linked == 1 else "are linked to, and stay"
        click.echo(f"{count(result.linked, 'large file')} {linked}")
    if result.trashed_bytes:
        click.echo(f"{human(result.trashed_bytes)} of what was packed waits in the trash; `artstore gc` frees it later")
    for name in result.waits_for:
        click.echo(f"it waits because of open work: {_at_work(name)}")
    _print_problems(result.problems, "file", "packed")


def _exact(size: int) -> str:
    return human(size) if size < 1024 else f"{human(size)} ({size:,} bytes)"


def _at_work(name: str) -> str:
    owner = parse(name)
    if owner is None:
        return f"{printable(name)}, which artstore didn't make ({typed('gc', abandon=name)} removes it)"
    if is_alive(owner):
        return f"process {owner.pid} on this host"
    host = owner.host.rpartition("-")[0] or "another host"
    return f"process {owner.pid} on {host}, perhaps dead (if so: {typed('gc', abandon=name)})"


@click.command("keep")
@click.argument("name", type=SPEC)
@click.argument("rule", required=False)
@click.option("--off", is_flag=True, help="Remove the rule: all versions are kept.")
@click.option("--accept", is_flag=True, help="Let saves here apply a rule that was set in another repository.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what RULE would delete; change nothing.")
@json_option
def keep_command(name: str, rule: str | None, off: bool, accept: bool, dry_run: bool, as_json: bool) -> None:
    """Set or show the rule that says which versions of an artifact are kept.

    RULE is a list such as 'last:3, best:loss:min, younger:30d'. Each save here then deletes the versions that it
    doesn't keep; `undelete` brings them back until `gc` frees them. The newest version always stays, and so do versions
    with an alias or a tag, linked ones, and those that a running run uses or made.

    A rule is pushed and pulled with its artifact, but it deletes nothing in a repository before somebody there accepts
    it with --accept.
    """
    if (rule is not None) + off + accept > 1:
        raise click.UsageError("give one of RULE, --off and --accept")
    if dry_run and (off or accept):
        raise click.UsageError("--dry-run goes with RULE, or alone")
    with open_repository() as repository:
        if dry_run or (rule is None and not off and not accept):
            found = repository.kept(name, rule)
        else:
            found = repository.accept_keep(name) if accept else repository.keep(name, rule)
        short = repository.lookup.short(found.path)
    if as_json:
        name = str(found.path)
        versions = [{"spec": f"{name}:v{v.version['number']}", "goes": v.goes, "why": v.why} for v in found.verdicts]
        value = {"artifact": name, "rule": found.rule, "accepted": found.accepted, "problem": found.problem}
        print_json({**value, "versions": versions})
        return
    if found.rule is None:
        click.echo(f"{short}: all versions are kept")
        return
    if found.problem is not None:
        rule = f"the rule '{printable(found.rule)}'"
        click.echo(f"{short}: {rule} can't be applied, so nothing is deleted: {printable(found.problem)}")
    else:
        _print_going(found, short, dry_run or not found.accepted)
    if not found.accepted and not dry_run:
        click.echo(f"hint: it was set elsewhere; {typed('keep --accept', short)} lets saves here apply it", err=True)


def _print_going(found: "Kept", short: str, only_if: bool) -> None:
    """Print which versions the next save deletes because of a rule, or would delete (`only_if`)."""
    if found.going:
        rows = [(f"{short}:v{v.version['number']}", human(v.version["size"]), v.why) for v in found.going]
        table(rows, ("VERSION", "SIZE", "WHY"), right=(1,))
    rule, number = printable(found.rule or ""), f"{len(found.going):,} of {count(len(found.verdicts), 'version')}"
    said = (
        f"the rule '{rule}' would delete {number}"
        if only_if
        else f"the next save deletes {number}; the rule is '{rule}'"
    )
    click.echo(f"{short}: {said}")


@click.command("prune")
@click.argument("specs", nargs=-1, type=SPEC, metavar="[NAME]...")
@click.option("--keep", "rules", multiple=True, metavar="RULE", help="What to keep; may be repeated.")
@click.option("--force", is_flag=True, help="Delete versions even if aliases or links name them; the links stay.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be deleted, to the byte; change nothing.")
@json_option
def prune_command(specs: tuple[str, ...], rules: tuple[str, ...], force: bool, dry_run: bool, as_json: bool) -> None:
    """Delete versions that no rule keeps, in these artifacts or in all.

    A RULE is a list of `last:N` (the newest N), `best:KEY` or `best:KEY:min` (the version with the largest or smallest
    metadata KEY), `younger:30d` (or 12h, 8w), `aliased`, `tagged` and `linked`, with commas between them.

    Without --keep, it deletes only versions whose ttl has expired. Links and the newest version of each artifact always
    stay. If an alias or link names a version that no rule keeps, nothing is deleted without --force.
    """
    from artstore.domain.retention import Policy

    policy = Policy.parse(",".join(rules)) if rules else Policy()
    with Bar() as bar, open_repository() as repository:
        result = repository.prune(specs, policy, force=force, dry_run=dry_run, monitor=bar)
        short = repository.lookup.short
    gone = result.gone
    if as_json:
        versions = [
            {"spec": f"{path}:v{v.version['number']}", "goes": v.goes, "why": v.why, "size": v.version["size"]}
            for path, v in result.verdicts
        ]
        refused = result.refused.message if result.refused is not None else None
        print_json({"dry_run": dry_run, "versions": versions, "freed_bytes": result.freed_bytes, "refused": refused})
        return
    rows = [
        (f"{short(path)}:v{v.version['number']}", "delete" if v.goes else "keep", human(v.version["size"]), v.why)
        for path, v in result.verdicts
    ]
    if gone:
        table(rows, ("VERSION", "DO", "SIZE", "WHY"), right=(2,))
    would = "would delete" if dry_run else "deleted"
    freed = f"; gc frees {_exact(result.freed_bytes)} after the grace period" if gone else ""
    click.echo(f"{would} {len(gone):,} of {count(len(rows), 'version')}{freed}")
    if not (gone or rules) and rows:
        click.echo("hint: without --keep, only versions whose ttl has expired are deleted", err=True)
    elif not gone and rows:
        reasons = Counter(verdict.why for _, verdict in result.verdicts)
        click.echo(f"kept: {first_of([f'{why} ({number:,})' for why, number in reasons.most_common()], 5)}", err=True)
    if result.refused is not None:
        click.echo(f"that would be refused without --force: {printable(result.refused.message)}", err=True)


@click.command("du")
@remote_argument
@json_option
def du_command(place: str | None, as_json: bool) -> None:
    """Show disk use, here or at a remote.

    A link counts as a version with its files; `show --disk` says what one version takes. Packed files are in the packs:
    `pack` stored them smaller. Runs are counted if they logged steps or files, also deleted ones whose data `gc` hasn't
    freed yet; `runs ls` lists the others too.
    """
    damaged: list[Damage] = []
    with open_view(place) as repository:
        usage = repository.usage(damaged=damaged)
    if as_json:
        print_json(usage._asdict())
    else:
        _print_usage(usage)
    report_damage(damaged)


def _print_usage(usage: "Usage") -> None:
    rows = [
        ("packs", human(usage.pack_bytes), count(usage.packs, "file")),
        ("large blobs", human(usage.blob_bytes), count(usage.blobs, "file")),
        ("logs", human(usage.log_bytes), ""),
        ("trash", human(usage.trash_bytes), ""),
        ("bad", human(usage.bad_bytes), ""),
        ("tmp", human(usage.tmp_bytes), ""),
        ("cache", human(usage.cache_bytes), ""),
    ]
    table(rows, ("WHERE", "SIZE", "WHAT"), right=(1,))
    held = f"{human(usage.version_bytes)} of files stored in {human(usage.stored_bytes)}"
    click.echo(f"{count(usage.versions, 'version')}: {held}")
    if usage.packed_bytes:
        plain = usage.packed_bytes + usage.saved_bytes
        click.echo(
            f"packed: {human(plain)} of files stored in {human(usage.packed_bytes)}, {human(usage.saved_bytes)} saved"
        )
    if usage.histories:
        click.echo(f"{count(usage.histories, 'run')} with histories or files: {human(usage.history_bytes)}")
