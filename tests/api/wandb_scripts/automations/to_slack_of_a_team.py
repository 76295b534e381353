"""Take the channel of Slack from the integrations of a team.

After: docs, automations, create an automation with Slack
Can't: artstore's Api has no 'slack_integrations': artstore.automations has SendWebhook
"""

import artstore as wandb
from artstore.automations import SendNotification

integration = next(wandb.Api().slack_integrations(entity="team"))
SendNotification.from_integration(integration, title="Heads up", text="The loss is high")
