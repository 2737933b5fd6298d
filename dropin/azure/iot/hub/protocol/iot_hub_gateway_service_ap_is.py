"""The client of the REST interface, and its groups of operations."""

from ferrohub.service.protocol import *
