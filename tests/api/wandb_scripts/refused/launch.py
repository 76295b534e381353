"""Put a job into a queue.

After: docs, launch, add a job to a queue
Can't: artstore.sdk.launch is not here: it starts no jobs
"""

from artstore.sdk.launch import launch_add

launch_add(project="launch", queue_name="gpu", job="local/launch/job:v0")
