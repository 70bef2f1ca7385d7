export { Carillon, type CarillonOptions } from "./client.js";
export type {
  Channel,
  ChannelState,
  Continuity,
  EventOf,
  HistoryOptions,
  ListenOptions,
  PositionStore,
  PublishOptions,
  PublishResult,
} from "./channel-api.js";
export type { CommandOptions, OutboxMode } from "./commands.js";
export * from "./managed.js";
export type { Presence } from "./presence.js";
export type { BuiltInEvents, ChannelEvent, HistoryPage, Member, Position, SessionInfo } from "./protocol.js";
export { storageStore } from "./store.js";
