"""Tools for connection strings and shared access signatures; programs import them as `azure.iot.device.common.auth`.

The clients sign in the core. These are for programs that make or read tokens themselves.
"""
