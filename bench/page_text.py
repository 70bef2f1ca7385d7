"""The words of docs/benchmarks.md: the measurements, how they are made, and their limits. Figures come from the result files."""

INTRODUCTION = """\
You want to know the cost of one Carillon node, and the cost of others under the same load. `carillon bench`, the load generator that comes
with the server, measured everything. It checks every delivery: a lost, doubled or misordered event makes a run fail. A failed run is shown
as failed.

    ./run bench                     # everything: about 45 minutes
    ./run bench quick               # a moment of everything, into build/bench
    ./run bench fanout rooms        # some scenarios; --rounds N, --seconds N, --servers carillon,floor,ws
    ./run bench one fanout --connections 2000 --window 4 --duration 10
                                    # one load on one Carillon, as a line; options of `carillon bench`

`./run bench` works from a fresh clone on Debian 12 or 13. It installs missing packages from Debian and from npm. It writes
`bench/results/*.json` (every round of every run), the plots, and this page. A server that a release does not have is skipped
and listed as such. The packages of the servers may start services of their own, which are not used. Against a server elsewhere: `carillon bench --help`.

**How it is compared.** Each server is started fresh, with one worker, on the same machine. Servers take turns (A B C, A B C, …), so that a
change of the machine's speed meets all of them. A figure is the median of the rounds, with the least and the greatest in brackets.
A ratio is the median of the ratios within each round. CPU time is that of the server's process, user and kernel, from the kernel's
clocks. It covers exactly the counted operations, and includes taking the events from their publisher. Events have 128 bytes of data
unless said.

**The other servers.** `floor` is a C program of ours ([bench/floor.c](../bench/floor.c)) that does nothing but epoll and one
`send()` of the same bytes to each subscriber. No server on this kernel that uses sockets one by one can do less. The others are
real servers with the settings that their documentation recommends ([bench/peers](../bench/peers)):

- nchan, a module of nginx: with its message buffer in the first table, and everywhere without, as `nchan live`
- `ws` and Socket.IO on Node.js
- the MQTT servers Mosquitto and aedes over WebSocket with QoS 0
- NATS over WebSocket with one thread

None of them checks tokens here, which Carillon does. Some of them do much else that Carillon does not.

**Limits of these figures.** The generator runs on the same two cores. It takes a good part of the machine, rates are those of the
slower of the two, and latencies contain its own delay. The machine is virtual, and its speed drifts: compare figures of one
table, not of two days. All traffic is on the loopback interface, where a `send()` also runs the receiver's side of TCP. On a
network card the kernel's share differs. Not compared: Centrifugo and uWebSockets.js, which neither Debian nor npm carries;
Pushpin and Faye, to which the generator cannot publish.
""".splitlines() + [""]

AFTER_TARGETS = """\
**Idle connections take more than 1 % of a core.** 15,000 clients pinged every 25 seconds are 600 pings and 600 pongs a second, about
20 µs for each pair. A profile (perf, 14,000 clients, before pings went out in step) shows 76 % of it in the kernel. There a `send()` goes to a
socket that nothing has touched for 25 seconds, with the receiver's side of loopback in it. Then the pong needs a wake-up and a `recv()`.
Timers are 7 %, libwebsockets 6 %. Pings of a tenth of a second leave together, which saved 12 %. A longer `ping_interval` saves the rest in
proportion.

**15,000 connections cost a little more each than 1,000**, in these rounds. A profile (perf) has the same shares at both, closing included:
two thirds in the kernel, 11 % libwebsockets, 8 to 10 % libc, 5 to 8 % Carillon, 3 to 4 % libcrypto. Nothing stands out that grows, nor do
the instructions below (the gate, `session open`, `subscribe`).

**Ratios to the floor move from round to round**, because the machine's speed does. A range in brackets says how much. Six more rounds, half an hour
later, had only `floor` and Carillon in turn (`./run bench fanout --servers floor,carillon --rounds 6`). They gave 1.01 (0.67–1.41) with one
event in flight, and 1.17 (0.82–1.44) with 16.

**Connections carry one long event, of 4 KiB, before the load** (`--first-size`; all of `fanout` and `rooms`). Any connection does so sooner or
later: three events of 128 bytes in one write are enough.

- A Linux receiver acknowledges at once when more bytes wait for that than its longest segment so far, which is 536 on a fresh connection.
- On loopback this runs within the sender's `send()`. In a profile (perf), `__release_sock`, where the sender takes acknowledgements, had
  0.2 % of the time with frames of 268 bytes, and 3.1 % with 276.
- Two frames of 269 bytes are more than 536. From there on a delivery on fresh connections costs a tenth more, history or not.
- The last rows of "[What a history costs](#what-a-history-costs)" show that a history costs nothing else there: `"offset":12345` makes 277
  bytes of 262. Over a network the receiver pays for it.

**A history costs** the server nothing for a delivery, and 2,400 instructions for an event (`delivery` by `history` and `event to history`
below). With a thousand subscribers that is 1 % of its own instructions, and nothing of the kernel's nine tenths. With one event in flight
the ratio is 1.00. With 16, where a delivery costs an eighth of that, 15 bytes more in 262 show: 1.05, and 1.02 against frames as long. With
Redis 3 % come on top, in Redis: the script that numbers and stores an event, paid for each event and not for each delivery.
""".splitlines() + [""]

FANOUT = """\
One event is published over HTTP (MQTT and NATS: over a WebSocket) and delivered to every subscriber of one channel. With one in
flight, the next is published when the last subscriber has it. Then each delivery costs a `send()` of its own, and nearly all
the CPU time is the kernel's. With 16, events that reach a server in one turn of its loop can leave in one write. Carillon, `floor` and
NATS do that.
""".splitlines() + [""]

LATENCY = [("saturated", "The best rate of each in a closed loop, one event in flight:"),
           ("half", "Events at half of that rate (to the nearest whole event a second), each server at its own:"),
           ("common", "Events at the same rate for all, half of the slowest server's rate:")]

LATENCY_TEXT = """\
10,000 subscribers of one channel. With a rate, latency counts from when an event was due, not from when it was sent: a
server that falls behind cannot hide it. An event takes as long as the server needs for 10,000 sends, so the last subscriber waits
for all others.
""".splitlines() + [""]

ROOMS = """\
1,000 channels of 10 subscribers each, events to random channels, 16 in flight.
""".splitlines() + [""]

MEMORY = """\
Resident memory of the server's process, without the memory that the kernel keeps for sockets. Connections of Carillon are
authenticated, have one subscription, and are pinged every 25 seconds. The connections of the others do what each server does by itself. The
second Carillon is the same code built with jemalloc (`cmake -DCARILLON_MALLOC=jemalloc`).
""".splitlines() + [""]

CONNECT = """\
TCP connection, upgrade with a token of its own user, signature verified, `session_init`, `subscribe`, `subscribed`. 64 connections are under
way at a time. Peers are not here: none of them verifies tokens.
""".splitlines() + [""]

TLS = """\
3,000 connections, one after the other, from one client on Python's own TLS. Each does TCP, the handshake, the upgrade with a token of its
own user, `session_init`, `subscribe`, `subscribed`. 200 go before them and are not counted.
""".splitlines() + [""]

PUBLISH = """\
Events without subscribers over HTTP keep-alive, one request in flight on each connection. Then through two nodes and Redis:
published to one node, numbered and stored in Redis, acknowledged, delivered to a subscriber of the other node. Two nodes, Redis and the
generator share the two cores.
""".splitlines() + [""]

HISTORY = """\
The cost of a history when nobody needs it. One server has two channels, one without a history and one with a full history of 1,000 events.
Loads of 80 events (1,920 where 16 are in flight, over 16 connections) of 128 bytes take turns on the two. Server, Redis and generator share
one core. On two cores the same load differs by more than that cost, because a changing part of the receiving runs beside the sending. The ratio is the median of those within each turn, with the range in which the true one lies with a probability of 95 %. "Frames
as long" are events with 15 bytes more data, on the channel without history. CPU is that of the node and of Redis together.
""".splitlines() + [""]

CONTINUITY = """\
10,000 clients of one channel, or a hundred of each of a hundred channels, are lost at once and miss 100 events of their channel. Then all
come back with their positions, 64 connections under way at a time. The time runs from the first connection until the last client has
everything, each event once and in order. It contains TCP, upgrade and token. The time of one client is from its connection to its
last missed event. Memory is the growth of the resident memory of a server that has just started, divided by a thousand channels. Without a
history a channel without subscribers leaves nothing behind.
""".splitlines() + [""]

REDIS_COMMANDS = """\
The commands of Redis in the last of these runs, from before the first client to the end, with those within scripts. One `evalsha` for each
missed event (100, or 10,000), with the commands that it calls, publishes that event. The `xrange` are the reads for clients that come back,
which share them:
""".splitlines() + [""]

SLOW = """\
5 % of 100 subscribers stop reading after the warm-up. The kernel's buffers for such a connection take some megabytes first. Then
each may keep `outbox.max_bytes` (1 MiB) unsent in the server. A connection that falls further behind is closed.
""".splitlines() + [""]

UPSTREAM = """\
Messages of clients that a node hands to a backend, which is an epoll program of ours
([bench/echo_backend.c](../bench/echo_backend.c)). `direct`: the load generator calls the backend itself by HTTP over connections that are
kept, as many as there are sessions, each with one call under way. `carillon`: each session has one message under way, and the node makes
the calls. CPU is that of the node, both threads, or of the backend where it is called directly. Node, backend and generator share two cores.

Without a rate the loop is closed: a hundred calls are always under way. Then the mean latency is 100 divided by the rate (Little's law). So
with a backend that answers at once the ratio of the latencies is that of the rates, and says how much CPU time a message takes. It says
nothing of time that the node makes a message wait. A node that parses a WebSocket frame, makes a request, and hands the answer back
through two threads takes several times the CPU time of an echo. So within 1.5 × is out of reach in that loop on two cores.

A session alone shows whether the node waits for anything: if it does not, p50 is the CPU time of the node and the p50 of a direct call. At a rate
that both keep, latencies tell what the node adds: `calls a second`. Each call is timed from when it was due. The backend that takes
10 ms is like one that does some work. KiB held is the growth of the resident memory for one session, with what the allocator adds.

Sessions beside a stalled backend: the node has one core to itself, and the load is a small part of what it can take. A p99 of two seconds is that
of 40 messages, and any pause of the machine is in it. So the latencies of all turns are also put together.

The frames go into a stream of Redis. Afterwards each frame must be in the stream, in the order of its session. Or they go to a WebSocket backend,
which sends each back, so that a frame goes through the node twice. CPU is that of the node alone.
""".splitlines() + [""]

ADMISSION = """\
Tickets are issued by the HTTP API over 50 connections. `used`: 4,000 connections with a ticket each, 64 under way at a time, beside as many with
a token each.

With lifecycle events on, each of 12,000 connections that comes and subscribes is told of twice, and twice again when it goes. To HTTP the
events go through a stream of Redis as well. All threads of the node have one core, and nothing else runs there. Generator, Redis and backend
share the other core. While the node's core is busy and the other is not, the rate is what the node can do. Once the other core is
busy, the rate is what the generator can do beside Redis. A generator on its own machine would not share. So the CPU time of the node
stands beside. The last of the CPU times goes on until all connections have ended and the last event has got where it should.
""".splitlines() + [""]

JOURNAL = """\
`carillon dev` keeps a line for each frame of each session, the newest 10,000 of them. Events come at a rate that makes 20,000 deliveries, and as
many lines, a second. `carillon serve` has no journal. Rules and limits of both are the same, and they take turns.
""".splitlines() + [""]

OLDER = """\
This build and an older program, by turns in one run: `CARILLON_BENCH_OLDER=PROGRAM ./run bench older`.
""".splitlines() + [""]

WORKERS = """\
Two workers against one, both on the two cores that the generator also needs. With one in flight the generator and one worker already
use most of the machine. So a second worker mostly shows the cost of sharing: each event is handed to both workers, and each wakes up
for it. The gain of a second worker shows only on a machine with more cores. There are several publishers, because one HTTP connection is
served one request at a time. With two workers a publisher that pipelines waits for each answer. With one worker it has the answer in the
same turn.
""".splitlines() + [""]

COLD = """\
From starting the program to its ready line (Carillon, `floor`, Node.js) or its first accepted connection. Memory broker.
""".splitlines() + [""]

GROWTH = """\
Carillon alone: fan-out to 1,000 subscribers with one event in flight, or 1,000 clients that connect and subscribe to the channel
("subscribers there"). More connections cannot be tried within 20,000 descriptors. The instruction counts below go further.
""".splitlines() + [""]

INSTRUCTIONS = """\
Instructions in user space, counted by callgrind (`./run count`). They are the same on any machine with the same compiler, so a later change
can be compared. They are of single paths without sockets: see [bench/instructions](../bench/instructions).
""".splitlines() + [""]

WHERE = []

END = []
