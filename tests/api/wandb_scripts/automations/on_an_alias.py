"""Call a webhook when a version of a collection gets an alias.

After: docs, automations, create an automation with a webhook
Runs.
"""

import artstore as wandb
from artstore.automations import ArtifactEvent, OnAddArtifactAlias, SendWebhook, WebhookIntegration

api = wandb.Api()
with wandb.init(project="automated") as run:
    artifact = wandb.Artifact("net", type="model")
    with artifact.new_file("net.txt") as file:
        file.write("weights")
    run.log_artifact(artifact)
collection = api.artifact_collection(type_name="model", name="automated/net")
integration = WebhookIntegration(name="deploy", url_endpoint="http://127.0.0.1:9/hook")
event = OnAddArtifactAlias(scope=collection, filter=ArtifactEvent.alias.matches_regex("^prod"))
action = SendWebhook.from_integration(integration, payload={"event_type": "deploy"})
automation = api.create_automation(event >> action, name="deploy-on-alias", description="tells the server")
assert api.automation(name="deploy-on-alias").description == "tells the server"
automation = api.automation(name="deploy-on-alias")
automation.enabled = False
assert not api.update_automation(automation).enabled
assert [found.name for found in api.automations()] == ["deploy-on-alias"]
assert api.delete_automation(automation)
assert list(api.automations()) == []
