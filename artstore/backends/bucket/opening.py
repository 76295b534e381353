"""Opening a bucket: obstore's store for a URL, with the endpoint and credentials of the environment."""

import os
import re
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from obstore import exceptions
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from artstore.backends.endpoints import endpoint_of_environment, options_of
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.errors import InvalidValue

_BY_ENVIRONMENT = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use the service's own login"
_memories: dict[str, Any] = {}
"""Buckets in this process's memory (`memory://`), by bucket and prefix."""


def is_askable(key: str) -> bool:
    """Whether obstore can use exactly this key. It changes or refuses keys with empty parts, `.`, `..` and the like."""
    return not re.search(r"[\x00-\x1f\x7f]", key) and all(part not in ("", ".", "..") for part in key.split("/"))


class Patience(NamedTuple):
    """How long a client waits for a server."""

    read: timedelta
    """for the next byte of an answer; for its first byte this counts from the beginning of the upload"""
    retry: timedelta
    """after this time, a request that failed isn't made again"""
    retries: int = 6


ASKING = Patience(timedelta(seconds=30), timedelta(seconds=20))
"""For small requests, and for downloads: each piece that arrives begins the wait anew."""
CREATING = ASKING._replace(retries=0)
"""For conditional writes, which `BucketStorage.create` repeats."""
SENDING = Patience(timedelta(minutes=2), timedelta(minutes=3))
"""For uploads: 64 MiB pass at 5 Mbit/s."""


SETTINGS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a login) say who you are, AWS_ENDPOINT_URL and AWS_REGION where",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS names the JSON file of a login",
    "az": "AZURE_STORAGE_ACCOUNT_NAME says which account, and AZURE_STORAGE_ACCOUNT_KEY (or a login) who you are",
}
"""What the environment says about a service, as a hint, by scheme."""


class BucketAddress(NamedTuple):
    """What a bucket's URL and the environment say about it, checked."""

    scheme: str
    name: str
    prefix: str
    """the path, as it is, without decoding"""
    endpoint: str | None
    region: str | None


def address_of(url: str) -> BucketAddress:
    """The address in a bucket's URL. Nothing is contacted. Raises InvalidValue."""
    place, options = options_of(url)
    scheme, _, path = place.partition("://")
    scheme, (bucket, _, prefix) = scheme.lower(), path.partition("/")
    prefix = prefix.strip("/")
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
    if not re.fullmatch(r"[A-Za-z0-9-]*", options.get("region", "")):  # it becomes part of the service's host name
        raise InvalidValue(f"'{printable(options['region'])}' is not a region", hint="a region looks like eu-central-1")
    return BucketAddress(scheme, bucket, prefix, _endpoint(options), options.get("region"))


def _endpoint(options: dict[str, str]) -> str | None:
    endpoint = options.get("endpoint") or endpoint_of_environment()
    if ("endpoint" in options or endpoint) and not re.match(r"https?://[^/]", endpoint or ""):
        given = printable(redacted(endpoint or ""))
        raise InvalidValue(f"endpoint '{given}' is not a URL", hint=f"http://{given} or https://{given} is")
    if re.match(r"https?://[^/?#]*@", endpoint or ""):
        raise InvalidValue("the endpoint's URL must not contain credentials", hint=_BY_ENVIRONMENT)
    return endpoint


def store_of(url: str, patience: Patience = ASKING) -> Any:
    """obstore's store for a bucket's URL.

    Credentials come from the environment or the service's own login, never from the URL. Raises InvalidValue, also if
    the environment lacks what the service needs.
    """
    address = address_of(url)
    if address.scheme == "memory":
        return _memories.setdefault(f"{address.name}/{address.prefix}", MemoryStore())
    try:
        return _opened(address, patience)
    except (exceptions.BaseError, ValueError) as error:
        reason = printable(re.sub(r"^Generic \w+ error: ", "", str(error)).split("\n")[0][:200])
        raise InvalidValue(
            f"{address.scheme}://{address.name} can't be opened: {reason}", hint=SETTINGS[address.scheme]
        ) from error


def _opened(address: BucketAddress, patience: Patience) -> Any:
    retry = {"max_retries": patience.retries, "retry_timeout": patience.retry}
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": patience.read,
        "timeout": timedelta(minutes=15),
    }
    common: dict[str, Any] = {"prefix": address.prefix or None, "retry_config": retry, "client_options": client}
    if address.scheme == "gs":
        return GCSStore(address.name, **common)
    if address.scheme == "az":
        return AzureStore(address.name, **common)
    if address.endpoint:
        client["allow_http"] = address.endpoint.startswith("http://")
        common["endpoint"] = address.endpoint
    if region := address.region or ("us-east-1" if address.endpoint else None):
        common["region"] = region
    return S3Store(address.name, **common, **_credentials())


def kept_store_of(url: str) -> Any:
    """The same, opened once in this process for all requests to a bucket, as long as the environment stays as it is."""
    login = frozenset(item for item in os.environ.items() if item[0].startswith(("AWS_", "GOOGLE_", "AZURE_")))
    return _kept(url, login, os.getpid())


@lru_cache(maxsize=16)
def _kept(url: str, login: frozenset[tuple[str, str]], process: int) -> Any:
    return store_of(url)


def service_of(url: str) -> str:
    """The service that a bucket's URL or the environment names, for errors: ` (endpoint)`, or nothing for a usual one."""
    address = address_of(url)
    return f" ({printable(redacted(address.endpoint))})" if address.endpoint and address.scheme == "s3" else ""


_LOGINS = {"s3": ("AWS_ACCESS", "AWS_PROFILE", "AWS_WEB", "AWS_CONTAINER"), "gs": ("GOOGLE_",), "az": ("AZURE_",)}


def has_credentials(scheme: str | None = None) -> bool:
    """Whether the environment has credentials, for this scheme or for any. A machine's own login may work without."""
    wanted = _LOGINS.get(scheme or "", tuple(name for names in _LOGINS.values() for name in names))
    return any(name.startswith(wanted) for name in os.environ)


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
