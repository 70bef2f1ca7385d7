"""The tools of the integration tests: the real binary, a real Redis, clients with full control of every byte."""
