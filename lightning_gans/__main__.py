"""``python -m lightning_gans`` is the command ``lightning-gans``."""

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    # Python puts the working directory first. A folder that came from elsewhere would then decide
    # what ``import torch`` means; the command looks there last.
    del sys.path[0]

from lightning_gans.cli.main import main

if __name__ == "__main__":
    main()
