"""Automations: made, fired, edited and deleted."""

from common import api, arrived, listening, names, refusal, section, server, web, write

import artstore as wandb
from artstore.api.automations import (
    ArtifactEvent,
    DoNothing,
    OnAddArtifactAlias,
    OnCreateArtifact,
    OnLinkArtifact,
    OnRunMetric,
    OnRunState,
    RunEvent,
    SendWebhook,
    WebhookIntegration,
)

section("create automations")
with wandb.init(project="guides", id="live-1") as run:
    artifact = wandb.Artifact("live", type="model", metadata={"stage": "candidate"})
    artifact.add_file(write("live.pt", "live 1"))
    run.link_artifact(artifact, "wandb-registry-models/yolo-live", aliases=["staging"])
webhook = WebhookIntegration(name="ci", url_endpoint=f"{web}/hook")
payload = {
    "event_type": "${event_type}",
    "alias": "${alias}",
    "collection": "${artifact_collection_name}",
    "project": "${project_name}",
    "entity": "${entity_name}",
    "client_payload": {"stage": "${artifact_metadata.stage}"},
}
action = SendWebhook.from_integration(webhook, payload=payload)
collection = api.artifact_collection(name="wandb-registry-models/yolo-live", type_name="model")
event = OnAddArtifactAlias(scope=collection, filter=ArtifactEvent.alias.matches_regex("^prod"))
automation = api.create_automation(event >> action, name="deploy", description="When it goes to production.")
print(automation.name, automation.description, automation.enabled, automation.scope.name)
print(automation.event.event_type.name, automation.action.action_type.name)
api.create_automation(OnLinkArtifact(scope=api.registry("models")).then(action), name="announce")
event = OnCreateArtifact(scope=api.artifact_collection(name="guides/live", type_name="model"))
api.create_automation(event >> action, name="evaluate")
project = api.project("guides")
event = OnRunState(scope=project, filter=RunEvent.state == "failed")
alarm = SendWebhook.from_integration(webhook, payload={"event_type": "${event_type}", "project": "${project_name}"})
api.create_automation(event >> alarm, name="alarm")
event = OnRunMetric(scope=project, filter=RunEvent.metric("loss").gt(10))
automation = api.create_automation(event >> DoNothing(), name="explosion", enabled=False)
print(automation.event.event_type.name, automation.action.action_type.name, automation.enabled)
print(names(api.automations()), api.automation(name="announce").event.event_type.name)
print(refusal(ValueError, api.create_automation, event >> DoNothing(), name="deploy"))
print(api.create_automation(event >> DoNothing(), name="deploy", fetch_existing=True).description)
print(refusal(ValueError, api.automation, "nothing"), refusal(TypeError, event.then, "a letter"))

section("what automations do")
version = api.artifact("wandb-registry-models/yolo-live:staging")
version.aliases.append("candidate")
version.save()
version.aliases.append("production")
version.save()
print(*arrived(1), sep="\n")
with wandb.init(project="guides", id="live-2") as run:
    artifact = wandb.Artifact("live", type="model", metadata={"stage": "better"})
    artifact.add_file(write("live.pt", "live 2"))
    run.link_artifact(artifact, "wandb-registry-models/yolo-live")
print(*arrived(2), sep="\n")
try:
    with wandb.init(project="guides", id="fails"):
        raise RuntimeError
except RuntimeError:
    pass
print(*arrived(1), sep="\n")

section("edit and delete automations")
automation = api.automation("announce")
automation.enabled = False
automation.description = "Kept for reference, but no longer used."
updated_automation = api.update_automation(automation)
print(updated_automation.enabled, api.automation("announce").enabled, api.automation("announce").description)
print(api.update_automation(api.automation("explosion"), enabled=True, description="Look at it.").enabled)
print(api.delete_automation(api.automation("deploy")), names(api.automations()))
api.artifact("guides/live:v0").link("wandb-registry-models/yolo-other", aliases=["production"])
version = api.artifact("wandb-registry-models/yolo-live:v1")
version.aliases.append("production")
version.save()
try:
    with wandb.init(project="guides", id="fails-again"):
        raise RuntimeError
except RuntimeError:
    pass
print(*arrived(1), sep="\n")
for automation in list(api.automations()):
    api.delete_automation(automation.id)
print(names(api.automations()), len(list(api.automations(name="alarm"))), refusal(ValueError, api.automation, "alarm"))

server.shutdown()
listening.join()
server.server_close()
