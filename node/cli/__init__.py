"""The command line: `python -m node COMMAND`."""
