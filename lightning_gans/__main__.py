"""``python -m lightning_gans`` is the command ``lightning-gans``."""

from lightning_gans.cli import main

if __name__ == "__main__":
    main()
