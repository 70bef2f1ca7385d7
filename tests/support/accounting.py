"""The books of a test with faults: the answers to each publisher, and every frame of each subscriber, in order. At the end
Ledger.check() accounts for every acknowledged event at every subscriber, as docs/guarantees.md promises:

- with history: each event from the subscriber's position on comes exactly once and in the order of offsets, over reconnects
  with `since` too. A `recovered:false` or a `gap` has announced each event that does not come.
- without history: each event published after `subscribed` comes at most once to a subscription. It is missing only where the
  connection ended or a `gap` stands in its place.
- nobody gets an event that was refused, or that nobody published.
- what a backend has put into the ingest stream comes to somebody, as one event.

Events that Redis may have acknowledged and lost (writes_may_be_lost) need not come, unless they are in the history.

Every publication has a key of its own, which travels as the member "key" of its data, and, where `with_id`, as event_id.
Subscribers and publishers may be in threads of their own. Knows no sockets: see support/load.py for who has them."""
import threading
import time
from bisect import bisect_right
from collections import Counter
from contextlib import contextmanager

from support.wait import DEADLINE_S


def clock(at):
    """A time of time.monotonic as nodes log it."""
    wall = time.time() - time.monotonic() + at if at else 0
    return time.strftime("%H:%M:%S", time.gmtime(wall)) + f".{int(wall * 1000) % 1000:03}" if at else "now"


class Publication:
    """One event that somebody wants published."""

    def __init__(self, channel, key, with_id):
        self.channel = channel
        self.key = key
        self.with_id = with_id
        self.sent = None  # the first attempt, monotonic
        self.answered = None  # the acknowledgement
        self.answer = None  # its members: id and, with history, epoch and offset
        self.unknown = False  # some attempt may have been carried out all the same
        self.promised = False  # it will be published, who knows when
        self.may_be_lost = False  # acknowledged by a primary that was replaced meanwhile
        self.attempts = 0
        self.asked = None  # the address that has answered last

    @property
    def acknowledged(self):
        return self.answer is not None


class Stretch:
    """The events of one subscriber on one channel between two interruptions. None of them may be missing. It begins with
    `subscribed` or a `gap`, and ends with a gap or the connection."""

    def __init__(self, at, epoch, offset, id, after, session):
        self.began = at
        self.session = session  # of the connection, as Seat.session
        self.epoch = epoch  # None: without history
        self.first = self.offset = offset  # None: without history, or Redis took no writes when it was subscribed
        self.id = id  # of the event at offset; None: not told
        self.after = after  # the Stretch before it on the same subscription, if a gap stands between
        self.ended = None  # when its connection ended, or a gap came
        self.ids = []  # in the order in which they came
        self.came = []  # when each of these


class Seat:
    """One subscriber over all its connections. Tell it everything, in order."""

    def __init__(self, ledger, name):
        self.ledger = ledger
        self.name = name
        self.session = ""  # which connection it has, and to whom: for people to read
        self.stretches = {}  # channel -> [Stretch]
        self.open = {}  # channel -> Stretch
        self.positions = {}  # channel -> where it would come back to
        self.asked = {}  # channel -> the since of the subscribe that is under way
        self.seen = {}  # channel -> {id: times}
        self.told = Counter()  # what interruptions were announced: recovered:false, gap <reason>
        self.recovered = 0

    def since(self, channel):
        """The position to subscribe from, or None. Remembers that it is asked for."""
        with self.ledger.lock:
            self.asked[channel] = self.positions.get(channel)
            return self.asked[channel]

    def forget(self, channel):
        """It has unsubscribed, and will come back without a position."""
        with self.ledger.lock:
            self._end(channel)
            self.positions.pop(channel, None)

    def disconnected(self):
        with self.ledger.lock:
            for channel in list(self.open):
                self._end(channel)
            self.asked.clear()

    def took(self, frame):
        """Any frame from the server."""
        with self.ledger.lock:
            self._take(frame)

    def _take(self, frame):
        channel, kind = frame.get("channel"), frame.get("type")
        if kind == "subscribed":
            self._subscribed(channel, frame["data"])
        elif kind == "gap":
            self._gap(channel, frame["data"])
        elif kind == "unsubscribed":
            self._end(channel)
        elif channel and "id" in frame and isinstance(frame.get("data"), dict) and "key" in frame["data"]:
            self._event(channel, frame)

    def _problem(self, text):
        self.ledger.problem(f"{self.name}: {text}")

    def _end(self, channel):
        stretch = self.open.pop(channel, None)
        if stretch:
            stretch.ended = time.monotonic()

    def _begin(self, channel, epoch, offset, id, after=None):
        stretch = Stretch(time.monotonic(), epoch, offset, id, after, self.session)
        self.stretches.setdefault(channel, []).append(stretch)
        self.open[channel] = stretch
        self._stand(channel, stretch)

    def _stand(self, channel, stretch):
        if stretch.epoch and stretch.offset is not None:
            self.positions[channel] = {"epoch": stretch.epoch, "offset": stretch.offset,
                                       **({"id": stretch.id} if stretch.id else {})}

    def _subscribed(self, channel, data):
        since, epoch, offset = self.asked.pop(channel, None), data.get("epoch"), data.get("offset")
        if channel in self.open:
            return  # asked twice: it goes on
        if data["recovered"]:
            self.recovered += 1
            if since is None or (epoch, offset) != (since["epoch"], since["offset"]):
                self._problem(f"{channel}: recovered from ({epoch}, {offset}), asked was {since}")
        elif since:
            self.told["recovered:false"] += 1
        self._begin(channel, epoch, offset, data.get("id"))

    def _gap(self, channel, data):
        self.told[f"gap {data['reason']}"] += 1
        before = self.open.get(channel)
        if not before:
            self._problem(f"{channel}: a gap without a subscription: {data}")
        self._end(channel)
        self._begin(channel, data.get("epoch"), data.get("offset"), data.get("id"), before)

    def _event(self, channel, event):
        stretch = self.open.get(channel)
        if not stretch:
            self._problem(f"{channel}: an event before subscribed: {event}")
            return
        times = self.seen.setdefault(channel, {})
        times[event["id"]] = times.get(event["id"], 0) + 1
        if self._is_again(stretch, event, times[event["id"]]) and not self.told["gap offset_regressed"]:
            self._problem(f"{channel}: the event {event['data']['key']} ({event['id']}) came again, offset {event.get('offset')}")
        stretch.ids.append(event["id"])
        stretch.came.append(time.monotonic())
        self.ledger.delivered(self, channel, event)
        offset = event.get("offset")
        if offset is None:
            return
        if stretch.epoch is None:
            self._problem(f"{channel}: the event {event['data']['key']} at offset {offset} came, and no epoch was told")
        elif offset != stretch.offset + 1:
            self._problem(f"{channel}: offset {offset} after {stretch.offset}, epoch {stretch.epoch}, {event['data']['key']}")
        stretch.offset, stretch.id = offset, event["id"]
        self._stand(channel, stretch)

    @staticmethod
    def _is_again(stretch, event, times):
        """Without history there is no position: a node that hears of events later gives one again to who comes to it."""
        if times == 1 or "offset" in event:
            return times > 1
        while stretch and event["id"] not in stretch.ids:
            stretch = stretch.after
        return stretch is not None

    def turn_page(self):
        self.seen.clear()
        self.stretches.clear()
        for channel, stretch in list(self.open.items()):
            self._begin(channel, stretch.epoch, stretch.offset, stretch.id)


class Ledger:
    def __init__(self):
        self.lock = threading.RLock()
        self.publications = {}  # key -> Publication
        self.seats = []
        self.problems = []
        self.counts = Counter()
        self.ids = {}  # (channel, id) -> key, as delivered
        self.writes_lost = False  # some may be, on this page
        self.late_events = False  # on this page, a primary of a cluster that was replaced while it stood still has gone on
        self.changed = threading.Condition(self.lock)

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    # --- publishers ---

    def sending(self, channel, key, with_id=True):
        """An attempt to publish. One of the next three follows."""
        with self.lock:
            publication = self.publications.setdefault(key, Publication(channel, key, with_id))
            publication.sent = publication.sent or time.monotonic()
            publication.attempts += 1
            return publication

    def acknowledged(self, publication, answer):
        with self.lock:
            publication.answered = time.monotonic()
            publication.answer = answer
            self.counts["acknowledged"] += 1
            self.changed.notify_all()

    def refused(self, publication, why=""):
        """The publisher was told that nothing was published."""
        with self.lock:
            self.counts[f"refused {why}".strip()] += 1

    def promised(self, publication):
        """It is in the ingest stream: accepted, and without an answer of its own."""
        with self.lock:
            publication.promised = True
            self.counts["promised"] += 1

    def unknown(self, publication, why=""):
        """The publisher cannot know."""
        with self.lock:
            publication.unknown = True
            self.counts[f"unknown {why}".strip()] += 1

    def storage_lost(self):
        """Redis has come back empty: of what nobody was answered about nothing is known, and what is tried again may be
        published as another event."""
        with self.lock:
            for publication in self.publications.values():
                if not publication.acknowledged:
                    self._nothing_known(publication)

    @staticmethod
    def _nothing_known(publication):
        publication.promised, publication.unknown, publication.with_id = False, True, False

    @contextmanager
    def writes_may_be_lost(self):
        """Within it one server may take writes while another one takes its place without them. Events that were settled before have been
        replicated."""
        with self.lock:
            self.writes_lost = True
            delivered = set(self.ids.values())
            settled = {p.key for p in self.publications.values() if p.acknowledged or p.promised and p.key in delivered}
        try:
            yield
        finally:
            with self.lock:
                for publication in self.publications.values():
                    if publication.key not in settled:
                        publication.may_be_lost = publication.acknowledged
                        self._nothing_known(publication)

    # --- subscribers ---

    def seat(self, name):
        seat = Seat(self, name)
        with self.lock:
            self.seats.append(seat)
        return seat

    def delivered(self, seat, channel, event):
        with self.lock:
            self.counts["delivered"] += 1
            key = event["data"]["key"]
            if self.ids.setdefault((channel, event["id"]), key) != key:
                self.problems.append(f"{seat.name}: {channel}: the id {event['id']} was another event's: {key}")

    def wrong_epoch(self, channel, epoch):
        """Names a subscriber of the channel that has not been told this epoch, the one in Redis. "" when all have been told."""
        with self.lock:
            for seat in self.seats:
                stretch = seat.open.get(channel)
                if stretch and stretch.epoch != epoch:
                    return f"{seat.name} on {channel} was told the epoch {stretch.epoch}, and Redis has {epoch}"
            return ""

    # --- waiting ---

    def wait_acknowledged(self, more, seconds=DEADLINE_S):
        """Until so many more events than now are acknowledged."""
        with self.lock:
            wanted = self.counts["acknowledged"] + more
            if not self.changed.wait_for(lambda: self.counts["acknowledged"] >= wanted, seconds):
                raise TimeoutError(f"{more} more events were not acknowledged within {seconds:g} s: {dict(self.counts)}")

    def missing(self):
        """Names an event that a connected subscriber has yet to get, or is "" when all have everything. They have everything some time
        after the last fault and the last publish, or never."""
        with self.lock:
            delivered = set(self.ids.values())
            for publication in self.publications.values():
                if publication.promised and publication.key not in delivered and self._somebody_was_there(publication):
                    return f"{publication.key} of the ingest stream, on {publication.channel}"
            by_channel = self._acknowledged_by_channel()
            for seat in self.seats:
                for channel, stretch in seat.open.items():
                    have = seat.seen.get(channel, ())
                    for publication in by_channel.get(channel, ()):
                        if publication.answer["id"] not in have and not publication.may_be_lost and self._owes(stretch, publication):
                            return f"{seat.name} on {channel}: {publication.key} {publication.answer}"
            return ""

    def _acknowledged_by_channel(self):
        by_channel = {}
        for publication in self.publications.values():
            if publication.acknowledged:
                by_channel.setdefault(publication.channel, []).append(publication)
        return by_channel

    def _somebody_was_there(self, publication):
        """And still is. Events from before a gap, or from a time without subscribers, need not have come to anybody."""
        stretches = (seat.open.get(publication.channel) for seat in self.seats)
        return any(stretch and stretch.began < publication.sent for stretch in stretches)

    @staticmethod
    def _owes(stretch, publication):
        """Of a stretch that is still open: whether it will have the event."""
        answer = publication.answer
        if not stretch.epoch:
            return publication.sent > stretch.began
        return stretch.first is not None and answer.get("epoch") == stretch.epoch and answer["offset"] > stretch.first

    # --- the account ---

    def check(self):
        """Everybody is quiet, and missing() is "". Returns the account. Its problems say what is wrong."""
        with self.lock:
            return self._check()

    def turn_page(self):
        """Forgets what has been checked: a long run needs no more memory than a short one. Everybody goes on."""
        with self.lock:
            self.publications = {key: p for key, p in self.publications.items() if not (p.acknowledged or p.promised)}
            self.ids.clear()
            self.writes_lost = self.late_events = False
            self.counts.clear()
            for seat in self.seats:
                seat.turn_page()
                seat.told.clear()
                seat.recovered = 0

    def _check(self):
        account = Counter(self.counts)
        self._check_publications()
        by_channel = self._acknowledged_by_channel()
        for channel, publications in by_channel.items():
            with_position = [p for p in publications if p.answer.get("epoch")]
            if with_position and len(with_position) < len(publications):
                self.problems.append(f"{channel}: some were acknowledged without a position: "
                                     f"{[p.key for p in publications if p not in with_position][:5]}")
                by_channel[channel] = with_position
        for seat in self.seats:
            for channel, stretches in seat.stretches.items():
                of_channel = by_channel.get(channel, [])
                numbered = any(p.answer.get("epoch") for p in of_channel)
                (self._check_numbered if numbered else self._check_plain)(seat, channel, stretches, of_channel, account)
            account.update({f"told {what}": times for what, times in seat.told.items()})
            account["recovered"] += seat.recovered
        account["publications"] = len(self.publications)
        account["seats"] = len(self.seats)
        account["problems"] = len(self.problems)
        return account

    def check_history(self, channel, epoch, events):
        """events: all that the channel's history has now. Those in between are none. The oldest may have gone."""
        with self.lock:
            kept = {event["offset"]: event["id"] for event in events}
            if sorted(kept) != list(range(min(kept, default=1), max(kept, default=0) + 1)) or len(kept) != len(events):
                self.problems.append(f"{channel}: its history has holes or doubles: {sorted(kept)[:20]}...")
            for publication in self.publications.values():
                answer = publication.answer
                if not answer or publication.channel != channel or answer.get("epoch") != epoch or \
                        answer["offset"] < min(kept, default=0):
                    continue
                if kept.get(answer["offset"]) == answer["id"]:
                    publication.may_be_lost = False
                elif not publication.may_be_lost:
                    self.problems.append(f"{channel}: {publication.key} at {answer['offset']} is not in its history")
            self.counts["found in histories"] += len(kept)

    def _check_publications(self):
        places = {}
        for publication in self.publications.values():
            answer = publication.answer
            if answer and answer.get("epoch") and not publication.may_be_lost:
                place = (publication.channel, answer["epoch"], answer["offset"])
                other = places.setdefault(place, publication)
                if other is not publication and not any(s.told["gap offset_regressed"] for s in self.seats):
                    self.problems.append(f"{publication.key} and {other.key} were both acknowledged at {place}")
        ids_of = {}
        for (channel, id), key in self.ids.items():
            publication = self.publications.get(key)
            if ids_of.setdefault(key, id) != id and publication and publication.with_id:
                self.problems.append(f"{channel}: {key} was delivered as two events, {id} and {ids_of[key]}")
            if publication is None or publication.channel != channel:
                self.problems.append(f"{channel}: {key} ({id}) was delivered, and nobody has published it")
            elif publication.acknowledged and publication.answer["id"] != id and publication.with_id:
                self.problems.append(f"{channel}: {key} was delivered as {id} and acknowledged as {publication.answer['id']}")
            elif not (publication.acknowledged or publication.promised or publication.unknown):
                self.problems.append(f"{channel}: {key} was refused, and delivered all the same")

    def _check_numbered(self, seat, channel, stretches, publications, account):
        seen = seat.seen.get(channel, {})
        by_id = {p.answer["id"]: p for p in publications}
        for publication in publications:
            epoch, offset = publication.answer["epoch"], publication.answer["offset"]
            # Where writes were lost, one that has ended may have had a lost event in its place.
            owing = next((s for s in stretches if s.epoch == epoch and s.offset is not None and s.first < offset <= s.offset
                          and not (self.writes_lost and s.ended)), None)
            if publication.answer["id"] in seen:
                account["accounted delivered"] += 1
            elif publication.may_be_lost:
                account["accounted as what Redis may have lost"] += 1
            elif owing and not seat.told["gap offset_regressed"]:
                came = owing.ids[offset - owing.first - 1:][:1]
                if came and self.late_events:  # docs/guarantees.md: a lost event may come in another one's place
                    account["accounted as what a replaced primary displaced"] += 1
                    continue
                self.problems.append(f"{seat.name}: {channel}: {publication.key} at {offset} of {epoch} is missing; in its place "
                                     f"came {[self.ids.get((channel, id)) for id in came]} {came}, since {owing.first}; "
                                     f"{self._story([owing], publication, by_id)}")
            else:
                account["accounted outside of its stretches"] += 1

    def _check_plain(self, seat, channel, stretches, publications, account):
        seen = seat.seen.get(channel, {})
        by_id = {p.answer["id"]: p for p in publications}
        runs = self._runs(stretches)
        for publication in publications:
            if publication.answer["id"] in seen or publication.may_be_lost:
                account["accounted delivered" if publication.answer["id"] in seen else "accounted as what Redis may have lost"] += 1
                continue
            run = next((r for r in runs if r[0].began < publication.sent and
                        not (r[-1].ended and self._last_sent(r, by_id) < publication.answered)), None)
            if run is None or self._is_told(run, publication, by_id):
                account["accounted outside of its stretches"] += 1
            else:
                self.problems.append(f"{seat.name}: {channel}: {publication.key} is missing, without a gap; "
                                     f"{self._story(run, publication, by_id)}")

    @staticmethod
    def _story(run, publication, by_id):
        """What is known of an event that did not come, with times as in the logs of nodes: its own, and for each stretch from the last event
        that was acknowledged before it to the first one that was sent after it."""
        words = [f"sent {clock(publication.sent)}, acknowledged {clock(publication.answered)}, attempts {publication.attempts}, "
                 f"answered by {publication.asked}, {publication.answer}"]
        for stretch in run:
            events = [(by_id[i], came) for i, came in zip(stretch.ids, stretch.came) if i in by_id]
            before = [e for e in events if e[0].answered < publication.sent][-1:]
            after = [e for e in events if e[0].sent > publication.answered][:1]
            near = [f"{e.key} sent {clock(e.sent)} acknowledged {clock(e.answered)} came {clock(came)}" for e, came in before + after]
            words.append(f"{stretch.session} from {clock(stretch.began)} to {clock(stretch.ended)}: {len(stretch.ids)} events, {near}")
        return "; ".join(words)

    @staticmethod
    def _runs(stretches):
        """Stretches of one subscription each, with gaps between them."""
        runs = []
        for stretch in stretches:
            if runs and stretch.after is runs[-1][-1]:
                runs[-1].append(stretch)
            else:
                runs.append([stretch])
        return runs

    @staticmethod
    def _last_sent(run, by_id):
        return max((by_id[i].sent for s in run for i in s.ids if i in by_id), default=0)

    @staticmethod
    def _is_told(run, publication, by_id):
        """Whether a gap stands where the event would be: after all that came before it, before all that came after."""
        before, after = 0, len(run) - 1
        for at, stretch in enumerate(run):
            if stretch.began < publication.sent:
                before = max(before, at)
            for event in (by_id[i] for i in stretch.ids if i in by_id):
                if event.answered < publication.sent:
                    before = max(before, at)
                elif event.sent > publication.answered:
                    after = min(after, at)
        return before < after
