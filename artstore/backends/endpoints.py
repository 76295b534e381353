"""The addresses of services, from the environment."""

import os


def endpoint_of_environment() -> str | None:
    """The URL of the user's S3 service, or None if it is AWS's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def strange_endpoint(url: str) -> str | None:
    """The server that a bucket's URL names, unless the environment names it too. Raises ValueError if it isn't a URL.

    Requests to a bucket are signed with the user's credentials. A URL from a file of others mustn't decide where
    they go.
    """
    from urllib.parse import parse_qsl, urlsplit

    endpoint = dict(parse_qsl(urlsplit(url).query)).get("endpoint")
    return endpoint if endpoint != endpoint_of_environment() else None
