"""Channels of a Carillon server: events, recovery of missed ones, presence, history."""

from .backoff import Ending
from .channel import Channel
from .channel_types import ChannelState, Continuity
from .client import Carillon
from .errors import CarillonError, Unauthorized
from .presence import Presence
from .protocol import Event, HistoryPage, Member, Position, Published, Session
from .socket import TokenRequest
from .state import Change, ConnectionState

__all__ = [
    "Carillon",
    "CarillonError",
    "Change",
    "Channel",
    "ChannelState",
    "ConnectionState",
    "Continuity",
    "Ending",
    "Event",
    "HistoryPage",
    "Member",
    "Position",
    "Presence",
    "Published",
    "Session",
    "TokenRequest",
    "Unauthorized",
]
