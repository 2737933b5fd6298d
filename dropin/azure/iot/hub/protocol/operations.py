"""The operations of the REST interface, by group."""

from ferrohub.service.protocol import *
