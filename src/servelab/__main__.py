"""``python -m servelab``."""

from servelab.cli.main import main

if __name__ == "__main__":
    main()
