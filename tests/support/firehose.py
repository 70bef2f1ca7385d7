"""A flood of events that a good reader takes, whatever else happens on its channel."""
import threading

from support.wait import DEADLINE_S, until


def firehose(node, reader, events, chunk):
    """Publishes them to "firehose", where `reader` is subscribed, and yields the number of each. Not faster than the reader
    is on this machine, or it would be a slow one itself. Fails if it misses one."""
    got = []

    def read():
        for _ in range(events):
            got.append(reader.expect("test", DEADLINE_S)["data"][0])

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(events):
        node.publish("firehose", [n, chunk])
        until(lambda: len(got) >= n - 8, "the reader keeps up")
        yield n
    thread.join(DEADLINE_S)
    assert got == list(range(events)), "the other subscriber missed something"
