"""Addresses that people write for places: telling them from paths here, and the spelling that artstore knows."""

import os
import re

from artstore.domain.names import printable
from artstore.errors import InvalidValue

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_BUCKETS = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs", "az": "az", "azure": "az", "abfs": "az"}
"""Schemes that mean a bucket, each with our own."""
_AMAZON = re.compile(r"//(?:([\w.-]+?)\.)?s3[\w.-]*\.amazonaws\.com/(.*)", re.DOTALL)
_KNOWN = "a remote is a folder's path, or s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH"
_MOUNT = "mount another host's folder here (NFS, SMB, sshfs, `rclone mount`), and give its path here"


def spelled(address: str) -> str:
    """A hint: the nearest address that artstore knows, or what else to do."""
    found = _SCHEME.fullmatch(address)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", address)
    if scheme in _BUCKETS and rest.strip("/"):
        return f"did you mean {_BUCKETS[scheme]}://{_shown(rest.lstrip('/'))}?"
    if scheme == "file" and rest.strip("/"):
        return f"did you mean file:///{_shown(rest.lstrip('/'))}?"
    if scheme in ("http", "https") and (amazon := _AMAZON.fullmatch(rest)):
        return f"did you mean s3://{_shown('/'.join(filter(None, amazon.groups())))}?"
    if scheme in ("http", "https"):
        return f"a bucket of a service at {scheme}://HOST is 's3://BUCKET/PATH?endpoint={scheme}://HOST'"
    return _KNOWN if scheme in (*_BUCKETS, "file") else f"{_KNOWN}; {_MOUNT}"


def refuse_address(place: str) -> None:
    """Raise InvalidValue if a remote's place, which is not a URL, looks like an address and not like a folder's path.

    As for git, a colon before the first slash is that of a host; a folder with such a name is `./NAME`.
    """
    if re.match(r"[^/]*:|\\\\", place) and not os.path.lexists(place):
        what = f"'{_shown(place)}' is neither a folder here nor an address that artstore knows"
        raise InvalidValue(what, hint=spelled(place))


def path_here(path: str) -> str:
    """A path on this machine, as it was given. Raises InvalidValue if it is a URL, or an address on another host.

    A name like `data:v3` is a path, and so is `./` before anything.
    """
    is_address = re.match(r"[A-Za-z][\w+.-]*:/|(s3|gs|az|file):|[^/]*@[^/]*:|\\\\", path)
    if is_address and not os.path.lexists(path):
        raise InvalidValue(
            f"'{_shown(path)}' is an address, and a path on this machine is needed",
            hint="`artstore push` sends versions to a remote; a file or folder of this name is ./NAME",
        )
    return path


def _shown(address: str) -> str:
    from artstore.domain.redaction import HIDDEN, redacted  # each command loads this module, and few need that one

    return printable(re.sub(r"^([^/@:]+):[^/@]+@", rf"\1:{HIDDEN}@", redacted(address)))
