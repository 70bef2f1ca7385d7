"""A Carillon server for tests: faults, a clock and a journal, by the control API of `carillon dev`."""

from .aio import AsyncCarillon
from .api import CarillonError
from .binary import find_binary
from .faults import Rules, SessionTarget, Target
from .journal import Waits, WaitTimeout
from .process import StartOptions
from .server import Broker, CarillonServer, Clock, attach_carillon, start_carillon
from .bodies import Action, Facts, JournalKind, JournalLine, LineMatch, NewRule, Rule, RuleMatch, Session, Snapshot

__all__ = [
    "Action",
    "AsyncCarillon",
    "Broker",
    "CarillonError",
    "CarillonServer",
    "Clock",
    "Facts",
    "JournalKind",
    "JournalLine",
    "LineMatch",
    "NewRule",
    "Rule",
    "RuleMatch",
    "Rules",
    "Session",
    "SessionTarget",
    "Snapshot",
    "StartOptions",
    "Target",
    "WaitTimeout",
    "Waits",
    "attach_carillon",
    "find_binary",
    "start_carillon",
]
