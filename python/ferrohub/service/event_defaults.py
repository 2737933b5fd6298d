"""How events are read unless something else is asked for: known to the managers without loading what reads them."""

from __future__ import annotations

DEFAULT_CONSUMER_GROUP = "$Default"
"""The one that every hub has."""
DEFAULT_PREFETCH = 300
"""Events of each partition that are on their way."""
