"""The version of `azure-iot-hub` whose interface this is; FerroHub's own is `ferrohub.__version__`."""

VERSION = "2.7.0"
