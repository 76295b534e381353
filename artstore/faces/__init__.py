"""The modules that users of W&B import from, such as `artstore.plot`: this folder is on the package's `__path__`."""
