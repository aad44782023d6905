import click
@click.command()
def apply() -> None:
    """later"""
