import click
@click.command()
def graph() -> None:
    """later"""
