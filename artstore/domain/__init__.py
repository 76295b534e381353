"""The domain: values without I/O, which say what is stored and what is said of it."""
