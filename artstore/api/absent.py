"""Names of W&B's that mean nothing here: asking for one is an AttributeError that says why."""

from collections.abc import Iterable
from typing import Any

from artstore.errors import UnsupportedError


class NotHere(UnsupportedError, AttributeError):
    """W&B has this name, and artstore doesn't."""


def _each(names: str, reason: str) -> Iterable[tuple[str, str]]:
    return ((name, reason) for name in names.split())


ABSENT: dict[str, dict[str, str]] = {
    "artstore": dict(
        [
            *_each("Graph", "it draws no graphs of models"),
            *_each("sagemaker_auth", "there is no account to log in to"),
            *_each("gym sacred tensorboard tensorflow", "log the metrics yourself, with log()"),
            *_each("agents docker jupyter launch", "it starts no jobs"),
        ]
    ),
    "automations": dict(
        [
            *_each("OrgScope TeamScope", "there are no accounts"),
            *_each("Integration SlackIntegration", "WebhookIntegration names an address"),
            *_each("SendPromptToAria", "there is no assistant to ask"),
        ]
    ),
    "Api": dict(
        [
            *_each("create_team create_user organization team user users", "there are no accounts"),
            *_each("create_run_queue job list_jobs queued_run run_queue upsert_run_queue", "it starts no jobs"),
            *_each("create_project", "a project is there when something is saved in it"),
            *_each("create_custom_chart", "charts are drawn by `artstore ui`"),
            *_each("integrations slack_integrations webhook_integrations", "artstore.automations has SendWebhook"),
            *_each("reports", "there are no reports"),
            *_each("sweep", "there are no sweeps"),
            *_each("sync_tensorboard", "log the metrics yourself, with log()"),
        ]
    ),
    "Registry": dict(
        [
            *_each(
                "add_members members remove_members team_members update_member user_members", "there are no accounts"
            ),
            *_each("internal_id", "there is no server that numbers things"),
        ]
    ),
    "RunRecord": dict(
        [
            *_each("download_history_exports", "the history is not in parquet files; scan_history() reads it"),
            *_each("stop", "there is no server that would tell its process to stop"),
            *_each("update_state", "a run's state is what became of its process"),
        ]
    ),
    "Project": dict(_each("owner sweeps", "there are no accounts and no sweeps")),
    "ArtifactCollection": dict(_each("project_id project_internal_id", "there is no server that numbers things")),
    "Manifest": dict(
        [
            *_each("from_manifest_json hash_contents_with_md5", "a manifest comes from what is stored"),
            *_each("version", "a manifest has only one form"),
        ]
    ),
}
"""The reason for each name, by the class (or module) that has it in W&B."""


class SaysWhy:
    """A class of W&B's of which some names aren't here: asking for one says why."""

    def __getattr__(self, name: str) -> Any:
        raise absent(type(self).__name__, name)


def absent(owner: str, name: str) -> AttributeError:
    """The error for a name that an object doesn't have."""
    what = "artstore" if owner == "artstore" else f"artstore's {owner}"
    reason = ABSENT.get(owner, {}).get(name)
    return NotHere(f"{what} has no '{name}': {reason}") if reason else AttributeError(f"{what} has no '{name}'")
