import click
@click.command()
def passes() -> None:
    """later"""
