"""The addresses of services, from the environment."""

import os


def endpoint_of_environment() -> str | None:
    """The URL of the user's S3 service, or None if it is AWS's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
