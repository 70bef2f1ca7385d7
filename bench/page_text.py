"""The words of docs/benchmarks.md: what was measured and how, and what it does not say. No figures: those come from the result
files."""

INTRODUCTION = """\
What one Carillon node costs, and what others cost under the same load. Everything was measured by `carillon bench`, the load
generator that comes with the server, which checks every delivery: a lost, doubled or misordered event makes a run fail, and
a failed run is shown as such.

    ./run bench                     # everything: about 35 minutes
    ./run bench quick               # a moment of everything, into build/bench
    ./run bench fanout rooms        # some scenarios; --rounds N, --seconds N, --servers carillon,floor,ws
    ./run bench one fanout --connections 2000 --window 4 --duration 10
                                    # one load on one Carillon, as a line; options of `carillon bench`

`./run bench` works from a fresh clone on Debian 12 or 13: it installs what is missing from Debian and from npm, writes
`bench/results/*.json` (every round of every run), the plots, and this page. A server that a release does not have is skipped
and listed as such. The packages of the servers may start services of their own, which are not used. Against a server elsewhere: `carillon bench --help`.

**How it is compared.** Each server is started fresh, with one worker, on the same machine, one after the other in turn (A B C,
A B C, …), so that a change of the machine's speed meets all of them. A figure is the median of the rounds, with the least and
the greatest in brackets; a ratio is the median of the ratios within each round. CPU time is that of the server's process, user
and kernel, from the kernel's clocks, over exactly the operations that were counted; it contains taking the events from
their publisher. Events have 128 bytes of data unless said.

**What it is compared with.** `floor` is a C program of ours ([bench/floor.c](../bench/floor.c)) that does nothing but epoll and one
`send()` of the same bytes to each subscriber: no server on this kernel that uses sockets one by one can do less. The others are
real servers with the settings that their documentation recommends ([bench/peers](../bench/peers)): nchan (an nginx module; in the
first table with its message buffer, everywhere as `nchan live` without), `ws` and Socket.IO on Node.js, the MQTT servers Mosquitto and aedes over
WebSocket with QoS 0, and NATS over WebSocket with one thread. None of them checks tokens here, which Carillon does; some of them
do much else that Carillon does not.

**What it does not say.** The generator runs on the same two cores. It takes a good part of the machine, rates are those of the
slower of the two, and latencies contain its own delay. The machine is virtual, and its speed drifts: compare figures of one
table, not of two days. All traffic is on the loopback interface, where a `send()` also runs the receiver's side of TCP: on a
network card the kernel's share is another one. Not compared: Centrifugo and uWebSockets.js, which neither Debian nor npm carries;
Pushpin and Faye, to which the generator cannot publish.
""".splitlines() + [""]

AFTER_TARGETS = """\
**Idle connections take more than 1 % of a core.** 15,000 clients pinged every 25 seconds are 600 pings and 600 pongs a second, about
20 µs for each pair. A profile (perf, 14,000 clients, before pings went out in step) shows 76 % of it in the kernel: a `send()` to a
socket that nothing has touched for 25 seconds, with the receiver's side of loopback in it, and a wake-up and a `recv()` for the pong.
Timers are 7 %, libwebsockets 6 %.
Pings of a tenth of a second leave together, which saved 12 %; a longer `ping_interval` saves the rest in proportion.

**15,000 connections cost a little more each than 1,000**, in these rounds. A profile (perf) has the same shares at both: two thirds in the
kernel, 11 % libwebsockets, 8 to 10 % libc, 5 to 8 % Carillon, 3 to 4 % libcrypto, closing included. Nothing stands out that grows, nor do the
instructions below (the gate, `session open`, `subscribe`).

**Ratios to the floor move from round to round**, because the machine's speed does: a range in brackets says how much. With only `floor` and
Carillon in turn (`./run bench fanout --servers floor,carillon --rounds 6`), one event in flight, six rounds half an hour after those above gave
1.01 (0.67–1.41), and 1.17 (0.82–1.44) for 16.

**Connections carry one long event, of 4 KiB, before the load** (`--first-size`; all of `fanout` and `rooms`), as any connection does sooner or later:
three events of 128 bytes in one write are enough. A Linux receiver acknowledges at once when more bytes wait for that than the longest segment it has had, for
which it takes 536 on a fresh connection; on loopback this runs within the sender's `send()` (perf: `__release_sock`, where the sender
takes what came for it meanwhile, had 0.2 % of the time with frames of 268 bytes, and 3.1 % with 276). Two frames of 269 bytes are more than 536: on fresh
connections a delivery costs a tenth more from there on, history or not. That is all that a history costs there, the last rows of
"[What a history costs](#what-a-history-costs)" say: `"offset":12345` makes 277 bytes of 262. Over a network it is the receiver that pays.

**What a history costs** in the server's own instructions is nothing a delivery and 2,400 an event (`delivery` by `history` and `event to
history` below): with a thousand subscribers 1 % of the instructions, and nothing at all of the kernel's nine tenths. With one event in flight the
ratio is 1.00. With 16, where a delivery costs an eighth of that, 15 bytes more in 262 show: 1.05, and 1.02 against frames as long. With Redis
3 % come on top, in Redis: the script that numbers and stores an event, paid for each event and not for each delivery.
""".splitlines() + [""]

FANOUT = """\
One event is published over HTTP (MQTT and NATS: over a WebSocket) and delivered to every subscriber of one channel. With one in
flight, the next is published when the last subscriber has it: each delivery costs a `send()` of its own, and nearly all
the CPU time is the kernel's. With 16, whatever reaches a server in one turn of its loop can leave in one write; Carillon, `floor` and
NATS do that.
""".splitlines() + [""]

LATENCY = [("saturated", "What each can do in a closed loop, one event in flight:"),
           ("half", "Events at half of that rate (to the nearest whole event a second), each server at its own:"),
           ("common", "Events at the same rate for all, half of what the slowest can:")]

LATENCY_TEXT = """\
10,000 subscribers of one channel. With a rate, latency counts from when an event was due, not from when it was sent: a
server that falls behind cannot hide it. An event takes as long as the server needs for 10,000 sends, so the last subscriber waits
for all others.
""".splitlines() + [""]

ROOMS = """\
1,000 channels of 10 subscribers each, events to random channels, 16 in flight.
""".splitlines() + [""]

MEMORY = """\
Resident memory of the server's process; what the kernel keeps for sockets is not in it. Connections of Carillon are
authenticated, have one subscription, and are pinged every 25 seconds; those of the others are what each does by itself. The second
Carillon is the same code built with jemalloc (`cmake -DCARILLON_MALLOC=jemalloc`).
""".splitlines() + [""]

CONNECT = """\
TCP connection, upgrade with a token of its own user, signature verified, `session_init`, `subscribe`, `subscribed`; 64 under way at a
time. Peers are not here: none of them verifies tokens.
""".splitlines() + [""]

TLS = """\
3,000 connections, one after the other, from one client on Python's own TLS: TCP, handshake, upgrade with a token of its own user,
`session_init`, `subscribe`, `subscribed`. 200 go before them and are not counted.
""".splitlines() + [""]

PUBLISH = """\
Events without subscribers over HTTP keep-alive, one request in flight on each connection. Then through two nodes and Redis:
published to one node, numbered and stored in Redis, acknowledged, delivered to a subscriber of the other node. Two nodes, Redis and the
generator share the two cores.
""".splitlines() + [""]

HISTORY = """\
What a history costs when nobody needs it: one server with two channels, one without and one with a history of 1,000 events, which is
full. Loads of 80 events (1,920 where 16 are in flight, over 16 connections) of 128 bytes take turns on the two, server, Redis and generator on one
core: on two cores the same load differs by more than what is looked for, by how much of the receiving happens to run beside the
sending. The ratio is the median of those within each turn, with the range in which the true one lies with a probability of 95 %. Frames as long
are those of events with 15 bytes more data, on the channel without history.
CPU of the node and of Redis together.
""".splitlines() + [""]

CONTINUITY = """\
10,000 clients of one channel, or a hundred of each of a hundred channels, are lost at once, miss 100 events of their channel, and all come
back, 64 connections under way at a time, with the position they had: the time runs from the first connection until the last client has
everything, each event once and in order, so it contains TCP, upgrade and token. The time of one client is from its connection to its
last missed event. Memory is that of a server which has just started: what its resident memory grows by, so of a channel a thousandth;
without a history a channel that nobody is subscribed to leaves nothing behind.
""".splitlines() + [""]

REDIS_COMMANDS = """\
What Redis ran in the last of these runs, from before the first client to the end, commands within scripts included. One `evalsha` for each
event that is missed (100, or 10,000), and what it calls, publishes that event; `xrange` are the reads of who comes back, which clients share:
""".splitlines() + [""]

SLOW = """\
5 % of 100 subscribers stop reading after the warm-up. The kernel's buffers for such a connection take some megabytes first; then
each may keep `outbox.max_bytes` (1 MiB) unsent in the server, and is closed when it falls further behind.
""".splitlines() + [""]

WORKERS = """\
Two workers against one, both on the two cores that the generator also needs. With one in flight the generator and one worker already
use most of the machine, so a second worker mostly shows what sharing costs: each event is handed to both workers, and each wakes up
for it. What two workers can do needs a machine with more cores. Several publishers, because one HTTP connection is served one
request at a time: with two workers a publisher that pipelines waits for each answer, where one worker has it in the same turn.
""".splitlines() + [""]

COLD = """\
From starting the program to its ready line (Carillon, `floor`, Node.js) or its first accepted connection. Memory broker.
""".splitlines() + [""]

GROWTH = """\
Carillon alone; fan-out to 1,000 subscribers with one event in flight, or 1,000 clients that connect and subscribe to the channel
("subscribers there"). More connections than these cannot be tried within 20,000 descriptors; the instruction counts below go further.
""".splitlines() + [""]

INSTRUCTIONS = """\
Instructions in user space, counted by callgrind (`./run count`): the same on any machine with the same compiler, so a later change can
be compared. These are of single paths without sockets; see [bench/instructions](../bench/instructions).
""".splitlines() + [""]

WHERE = []

END = []
