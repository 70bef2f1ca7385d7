"""What the integration tests stand on: the real binary, a real Redis, clients with full control of every byte."""
