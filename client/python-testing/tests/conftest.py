"""The plugin, as it is there once the package is installed."""

from carillon_testing.plugin import carillon, carillon_options, carillon_server, pytest_runtest_makereport  # noqa: F401
