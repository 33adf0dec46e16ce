"""`pixlsrve backup`: what can't be made again, in one file."""

from __future__ import annotations

from pathlib import Path

import click

from pixlsrve import __version__, config, instance
from pixlsrve.cli.options import config_option, data_dir_option, json_option, load_settings, plain, print_json
from pixlsrve.cli.progress import bar_of_bytes
from pixlsrve.cli.status import size_text


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with-uploads", is_flag=True, help="Also save the uploaded files; as large as they are.")
@config_option
@data_dir_option
@json_option
def backup(file: Path, with_uploads: bool, config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Save accounts, devices, keys, settings and index in one file, while the daemon runs or not.

    The file lets its reader in as any of your devices: keep it where nobody else can read it.

    \b
    Example:
      pixlsrve backup /mnt/stick/photos-host.backup
    """
    from pixlsrve.store.backup import making

    settings = load_settings(data_dir, config_file)
    target = file.expanduser().absolute()
    forbidden = [("data directory", settings.data_path), ("storage directory", settings.storage_path)]
    with instance.as_owner(settings.data_path):
        roots = [*map(Path, settings.photos), *making.library_roots(settings.data_path)]
    forbidden += [("photo folder", root) for root in roots]
    making.check_target(target, forbidden)
    source = making.Source(
        data_dir=settings.data_path,
        program=__version__,
        storage=settings.storage_path if with_uploads else None,
        config_file=config_file or config.default_config_file(),
    )
    with bar_of_bytes("saving", making.expected_bytes(source)) as progress:
        made = making.make(source, target, progress, acting=lambda: instance.as_owner(source.data_dir))
    if as_json:
        print_json(
            {
                "file": str(made.path),
                "size_bytes": made.size_bytes,
                "members": len(made.members),
                "uploads": sum(member.name.startswith("storage/") for member in made.members),
                "host_id": made.header.host_id,
                "left_out": made.left_out,
            }
        )
        return
    click.echo(f"Saved to {plain(str(made.path))}: {size_text(made.size_bytes)}, {len(made.members)} files.")
    for sentence in made.left_out:
        click.echo(plain(sentence))
    if not with_uploads:
        click.echo("Photos and uploads are not in it; add --with-uploads for the uploads.")
