"""Opening a bucket: obstore's store for a URL, with the endpoint and credentials of the environment."""

import os
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from artstore.backends.endpoints import endpoint_of_environment
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.errors import InvalidValue

_BY_ENVIRONMENT = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use the service's own login"
_memories: dict[str, Any] = {}
"""Buckets in this process's memory (`memory://`), by bucket and prefix."""


def is_askable(key: str) -> bool:
    """Whether obstore can use exactly this key. It changes or refuses keys with empty parts, `.`, `..` and the like."""
    return not re.search(r"[\x00-\x1f\x7f]", key) and all(part not in ("", ".", "..") for part in key.split("/"))


def store_of(url: str) -> Any:
    """obstore's store for a bucket's URL. The path up to a `?` is used as it is, without decoding.

    Credentials come from the environment or the service's own login, never from the URL. Raises InvalidValue.
    """
    place, _, query = url.partition("?")
    scheme, _, path = place.partition("://")
    scheme, (bucket, _, prefix) = scheme.lower(), path.partition("/")
    prefix = prefix.strip("/")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if "@" in bucket:
        what = f"the URL of bucket '{printable(bucket.rpartition('@')[2])}' must not contain credentials"
        raise InvalidValue(what, hint=_BY_ENVIRONMENT)
    if not bucket:
        raise InvalidValue(f"'{printable(url)}' names no bucket", hint=f"{scheme}://BUCKET/PATH does")
    if strange := re.search(r"[^\w.:$-]", bucket, re.ASCII):
        raise InvalidValue(
            f"'{printable(strange[0])}' can't be in a bucket's name", hint=f"{scheme}://BUCKET/PATH names a bucket"
        )
    if prefix and not is_askable(prefix):
        raise InvalidValue(
            f"'{printable(prefix)}' can't be a path in a bucket: it has an empty part, '.', '..' or a control character"
        )
    if unknown := sorted(options.keys() - {"endpoint", "region"}):
        raise InvalidValue(
            f"'{printable(unknown[0])}' is not an option of a bucket's URL", hint="endpoint and region are"
        )
    retry = {"max_retries": 6, "retry_timeout": timedelta(minutes=3)}
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(minutes=2),
        "timeout": timedelta(minutes=15),
    }
    common: dict[str, Any] = {"prefix": prefix or None, "retry_config": retry, "client_options": client}
    endpoint = options.get("endpoint") or endpoint_of_environment()
    if ("endpoint" in options or endpoint) and not re.match(r"https?://[^/]", endpoint or ""):
        given = printable(redacted(endpoint or ""))
        raise InvalidValue(f"endpoint '{given}' is not a URL", hint=f"http://{given} or https://{given} is")
    if re.match(r"https?://[^/?#]*@", endpoint or ""):
        raise InvalidValue("the endpoint's URL must not contain credentials", hint=_BY_ENVIRONMENT)
    if not re.fullmatch(r"[A-Za-z0-9-]*", options.get("region", "")):  # it becomes part of the service's host name
        raise InvalidValue(f"'{printable(options['region'])}' is not a region", hint="a region looks like eu-central-1")
    if scheme == "memory":
        return _memories.setdefault(f"{bucket}/{prefix}", MemoryStore())
    if scheme == "gs":
        return GCSStore(bucket, **common)
    if scheme == "az":
        return AzureStore(bucket, **common)
    if endpoint:
        client["allow_http"] = endpoint.startswith("http://")
        common["endpoint"] = endpoint
    if region := options.get("region") or ("us-east-1" if endpoint else None):
        common["region"] = region
    return S3Store(bucket, **common, **_credentials())


def has_credentials() -> bool:
    """Whether the environment has credentials. Without them a machine's own login may still work."""
    return any(
        name.startswith(("AWS_ACCESS", "AWS_PROFILE", "AWS_WEB", "AWS_CONTAINER", "GOOGLE_", "AZURE_"))
        for name in os.environ
    )


def _credentials() -> dict[str, Any]:
    """The option by which boto3 reads AWS profiles and logins. Without boto3, obstore asks environment and machine."""
    if os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_SKIP_SIGNATURE"):
        return {}
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except Exception:
        return {}
