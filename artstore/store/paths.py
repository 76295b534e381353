"""Where packs and large blobs are in a repository."""

PACKS = "objects/packs"
BLOBS = "objects/blobs"


def pack_path(name: str) -> str:
    return f"{PACKS}/{name}.pack"


def blob_path(digest: bytes) -> str:
    name = digest.hex()
    return f"{BLOBS}/{name[:2]}/{name}"
