"""Send a message to Slack.

After: docs, automations, create an automation with Slack
Can't: artstore sends no messages to Slack
"""

import artstore as wandb
from artstore.automations import OnRunMetric, RunEvent, SendNotification

api = wandb.Api()
with wandb.init(project="watched"):
    pass
event = OnRunMetric(scope=api.project("watched"), filter=RunEvent.metric("loss") > 0.9)
action = SendNotification(integration_id="slack-1", title="Heads up", text="The loss is high")
api.create_automation(event >> action, name="to-slack")
