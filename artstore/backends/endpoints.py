"""The addresses of services, from the environment."""

import os


def endpoint_of_environment() -> str | None:
    """The URL of the user's S3 service, or None if it is AWS's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def options_of(url: str) -> tuple[str, dict[str, str]]:
    """A bucket's URL without its options, and the options. A `#` is a character like any other."""
    from urllib.parse import parse_qsl

    place, _, query = url.partition("?")
    return place, dict(parse_qsl(query, keep_blank_values=True))


def strange_endpoint(url: str) -> str | None:
    """The server that a bucket's URL names, unless the environment names it too.

    Requests to a bucket are signed with the user's credentials. A URL from a file of others mustn't decide where
    they go.
    """
    endpoint = options_of(url)[1].get("endpoint") or None
    return endpoint if endpoint != endpoint_of_environment() else None
