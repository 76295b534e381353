"""Endpoints: where the environment says that a service is."""

import os


def endpoint_of_environment() -> str | None:
    """Where the user's S3 service is, if it isn't AWS's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
