"""URIs of objects in buckets: `s3://BUCKET/KEY`, where no character of the key is encoded. Pure."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl

_OPTIONS = re.compile(r"(.*)\?((?:versionid|endpoint|region)=.*)", re.DOTALL | re.IGNORECASE)
"""A key and the options after it. They begin at the last `?` before an option's name."""
_GENERATION = re.compile(r"(.*)#([0-9]+)", re.DOTALL)
"""A key and the number of its version, as Google's gsutil and gcloud write them."""
_END = "?versionId="
"""Marks the end of a key that itself looks as if it had options. It means the newest version."""


class ObjectName(NamedTuple):
    """The parts of a URI of an object in a bucket."""

    bucket: str
    """with its scheme: `s3://name`"""
    key: str
    options: dict[str, str]
    """names in lower case; `versionid` is empty for the newest version"""


def name_in(uri: str) -> ObjectName:
    """The bucket, key and options that a URI names. No character of the key is decoded."""
    scheme, _, rest = uri.partition("://")
    (bucket, _, key), options = rest.partition("/"), dict[str, str]()
    if found := _OPTIONS.fullmatch(key):
        key = found[1]
        options = {name.lower(): value for name, value in parse_qsl(found[2], keep_blank_values=True)}
    elif scheme.lower() == "gs" and (found := _GENERATION.fullmatch(key)):
        key, options = found[1], {"versionid": found[2]}
    return ObjectName(f"{scheme.lower()}://{bucket}", key, options)


def uri_of(bucket: str, key: str) -> str:
    """The URI of a key, which `name_in` reads back as this key."""
    uri = f"{bucket}/{key}"
    return uri if name_in(uri) == (bucket, key, {}) else uri + _END
