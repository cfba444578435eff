"""``python -m vidseg``."""

from vidseg.cli.main import main

if __name__ == "__main__":
    main()
