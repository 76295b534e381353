"""`python -m artstore`: the command line."""

from artstore.cli import main

if __name__ == "__main__":
    main()
