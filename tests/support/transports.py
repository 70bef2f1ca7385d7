"""The transports of a client's bytes. Tests that are marked so run once in plaintext and once by TLS."""
import pytest

BY_BOTH = pytest.mark.parametrize("transport", ["plain", "tls"], indirect=True, scope="module")
BY_TLS = pytest.mark.parametrize("transport", ["tls"], indirect=True, scope="module")
