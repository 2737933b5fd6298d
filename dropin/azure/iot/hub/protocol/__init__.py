"""Programs import `azure.iot.hub.protocol.models` from here."""
