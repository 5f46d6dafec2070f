"""The command line ``lightning-gans``."""
