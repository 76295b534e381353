"""Take the webhook from the integrations of a team.

After: docs, automations, create an automation with a webhook
Can't: artstore's Api has no 'webhook_integrations': artstore.automations has SendWebhook
"""

import artstore as wandb
from artstore.automations import OnLinkArtifact, SendWebhook

api = wandb.Api()
integration = next(hook for hook in api.webhook_integrations(entity="team") if hook.name == "deploy")
event = OnLinkArtifact(scope=api.registry("models"))
api.create_automation(event >> SendWebhook.from_integration(integration), name="on-link")
