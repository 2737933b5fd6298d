"""The native core. Private: use `ferrohub` and `azure.iot`."""

__version__: str

class CoreError(Exception):
    """An error of the core; `args` is (kind, message, causes)."""

    args: tuple[str, str, list[str]]
