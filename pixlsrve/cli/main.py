"""The `pixlsrve` command: which commands there are, and how errors become exit codes.

Commands are imported when they are called, so that each starts as fast as its own parts allow.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from pixlsrve.errors import ConfigError, PixlsrveError
from pixlsrve.version import version_text

FAILED, USAGE, NOT_RUNNING = 1, 2, 3
_COMMANDS = {
    "setup": "pixlsrve.cli.setup:setup",
    "serve": "pixlsrve.cli.serve:serve",
    "pair": "pixlsrve.cli.pair:pair",
    "status": "pixlsrve.cli.status:status",
    "scan": "pixlsrve.cli.scan:scan",
    "devices": "pixlsrve.cli.devices:devices",
    "revoke": "pixlsrve.cli.devices:revoke",
    "user": "pixlsrve.cli.user:user",
    "token": "pixlsrve.cli.token:token",
    "agent": "pixlsrve.cli.agent:agent",
    "doctor": "pixlsrve.cli.doctor:doctor",
    "backup": "pixlsrve.cli.backup:backup",
    "restore": "pixlsrve.cli.restore:restore",
    "verify": "pixlsrve.cli.verify:verify",
    "install": "pixlsrve.cli.install:install",
    "uninstall": "pixlsrve.cli.install:uninstall",
    "tunnel-helper": "pixlsrve.cli.tunnel_helper:tunnel_helper",
}


class LazyCommands(click.Group):
    """A group that imports a command's module when the command is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of their use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version_text(), prog_name="pixlsrve", message="%(prog)s %(version)s")
def cli() -> None:
    """A photo server for a household.

    \b
    Example:
      pixlsrve serve --photos ~/Pictures
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code: 0 done, 1 failed, 2 usage, 3 no daemon."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; its exit code."""
    try:
        result: Any = cli.main(arguments, prog_name="pixlsrve", standalone_mode=False)
    except click.exceptions.Abort:
        return FAILED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except PixlsrveError as error:
        click.echo(f"pixlsrve: {error.message}", err=True)
        return _exit_code(error)
    except BrokenPipeError:
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123  # stays open to the end of the process
        return FAILED
    except OSError as error:
        click.echo(f"pixlsrve: {_os_sentence(error)}", err=True)
        return FAILED
    return result if isinstance(result, int) else 0


def _exit_code(error: PixlsrveError) -> int:
    """2 for settings, 3 without a daemon, else 1."""
    if isinstance(error, ConfigError):
        return USAGE
    return NOT_RUNNING if error.reason == "not_running" else FAILED


def _os_sentence(error: OSError) -> str:
    """What the system refused, in one sentence."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}."
