"""Runs the command line from a checkout: ``python cli.py fit --config configs/<name>.yaml``."""

from lightning_gans.cli.main import main

if __name__ == "__main__":
    main()
