"""Buckets (S3, Google Cloud Storage, Azure and compatible services) as storage, through obstore."""

from artstore.errors import StorageError

__all__ = ["obstore"]

try:  # this runs first, whichever module of this package is imported
    import obstore
except ImportError as error:
    raise StorageError(
        "buckets need the package obstore, which is not installed here", hint="`pip install 'artstore[cloud]'` adds it"
    ) from error
