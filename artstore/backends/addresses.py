"""Addresses that people write for places: telling them from paths here, and the spelling that artstore knows."""

import os
import re

from artstore.domain.names import printable
from artstore.errors import InvalidValue

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_BUCKETS = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs", "az": "az", "azure": "az", "abfs": "az"}
"""Schemes that mean a bucket, each with our own."""
_HOSTS = {
    r"(?:([\w.-]+?)\.)?s3[\w.-]*\.amazonaws\.com(?:/+(.*))?": "s3",
    r"(?:([\w.-]+?)\.)?storage\.(?:googleapis|cloud\.google)\.com(?:/+(.*))?": "gs",
    r"()[\w-]+\.(?:blob|dfs)\.core\.windows\.net(?:/+(.*))?": "az",
}
"""Hosts of the services that have buckets, each with the bucket and the path, and our scheme for it."""
_LIKE_ADDRESS = rf"[^/]*:|\\\\|//|[^/]+@[\w.-]+(/|$)|({'|'.join(_BUCKETS)})//|({'|'.join(_HOSTS)})$"
_VARIABLE = r"(?:^|/)(\$[A-Za-z_]\w*|\$\{[A-Za-z_]\w*\}|%[A-Za-z_]\w*%)(?=/|$)"
_HOMES = ("$HOME", "${HOME}", "%HOME%", "%USERPROFILE%")
_KNOWN = "a remote is a folder's path, or s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH"
_MOUNT = "mount another host's folder here (NFS, SMB, sshfs, `rclone mount`), and give its path here"


def spelled(address: str) -> str:
    """A hint: the nearest address that artstore knows, or what else to do."""
    if address != address.strip():
        return f"did you mean '{_shown(address.strip())}'?"
    found = re.fullmatch(rf"({'|'.join(_BUCKETS)})(//.*)", address, re.I | re.DOTALL) or _SCHEME.fullmatch(address)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", address)
    if scheme in _BUCKETS and rest.strip("/"):
        return f"did you mean {_BUCKETS[scheme]}://{_shown(rest.lstrip('/'))}?"
    if scheme == "file" and rest.strip("/"):
        return f"did you mean file:///{_shown(rest.lstrip('/'))}?"
    if scheme in ("http", "https", "") and (bucket := _at_service(rest.removeprefix("//"))):
        return f"did you mean {_shown(bucket)}?"
    if scheme in ("http", "https"):
        here = "an https address is that of a served repository"
        return f"{here}; a bucket of a service at {scheme}://HOST is 's3://BUCKET/PATH?endpoint={scheme}://HOST'"
    if re.match("[^/:]+@[^:]*$", address):
        return f"a folder of this name is ./{_shown(address)}; {_MOUNT}"
    return _KNOWN if scheme in (*_BUCKETS, "file") else f"{_KNOWN}; {_MOUNT}"


def _at_service(address: str) -> str | None:
    """The bucket that a service's own address such as `BUCKET.s3.amazonaws.com/PATH` means, as we spell it."""
    for host, scheme in _HOSTS.items():
        if (found := re.fullmatch(host, address, re.IGNORECASE | re.DOTALL)) and any(found.groups()):
            return f"{scheme}://{'/'.join(filter(None, found.groups()))}"
    return None


def refuse_address(place: str) -> None:
    """Raise InvalidValue if a remote's place, which is not a URL, looks like an address and not like a folder's path.

    As for git, a colon before the first slash is that of a host; a folder with such a name is `./NAME`.
    """
    is_like = re.match(_LIKE_ADDRESS, place, re.IGNORECASE | re.DOTALL) and not os.path.lexists(_first_folder(place))
    if (is_like or place != place.strip()) and not os.path.lexists(place):
        what = f"'{_shown(place)}' is neither a folder here nor an address that artstore knows"
        raise InvalidValue(what, hint=spelled(place))


def expanded(path: str) -> str:
    """A path whose `~` or `~USER` is replaced by that home folder, unless there is a folder of such a name here.

    Raises InvalidValue for the home of nobody, and for a variable such as `$HOME` that no shell has replaced.
    """
    if (found := re.search(_VARIABLE, path)) and not os.path.lexists(path[: found.end()]):
        at_home = found[1] in _HOMES and not found.start()
        hint = f"did you mean ~{_shown(path[found.end() :])}?" if at_home else f"write its value instead of {found[1]}"
        raise InvalidValue(f"'{_shown(path)}' holds a variable that no shell has replaced", hint=hint)
    if not path.startswith("~") or os.path.lexists(_first_folder(path)):
        return path
    home = os.path.expanduser(path)
    if home == path:
        what = f"'{_shown(path)}' is in the home folder of a user who isn't known here"
        raise InvalidValue(what, hint=f"a folder of this name is ./{_shown(path)}")
    return home


def path_here(path: str) -> str:
    """A path on this machine, as it was given, but for a home folder's `~`.

    Raises InvalidValue if it is a URL, an address on another host, or what no shell has replaced. A name like `data:v3`
    is a path, and so is `./` before anything.
    """
    is_address = re.match(r"[A-Za-z][\w+.-]*:/|(s3|gs|az|file):|[^/]*@[^/]*:|\\\\", path)
    if is_address and not os.path.lexists(path):
        raise InvalidValue(
            f"'{_shown(path)}' is an address, and a path on this machine is needed",
            hint="`artstore push` sends versions to a remote; a file or folder of this name is ./NAME",
        )
    return expanded(path)


def _first_folder(path: str) -> str:
    return "".join(re.findall(r"^/*[^/]*", path))


def _shown(address: str) -> str:
    from artstore.domain.redaction import HIDDEN, redacted  # each command loads this module, and few need that one

    return printable(re.sub(r"^([^/@:]+):[^/@]+@", rf"\1:{HIDDEN}@", redacted(address)))
