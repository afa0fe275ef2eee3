"""Run the command line with `python -m argos`."""

from argos.commands import cli

if __name__ == "__main__":
    cli()
