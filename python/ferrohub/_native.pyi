__version__: str

class CoreError(Exception):
    args: tuple[str, str, list[str]]
