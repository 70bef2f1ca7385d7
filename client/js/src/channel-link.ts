import type { Channel, PositionStore } from "./channel-api.js";
import type { Commands } from "./commands.js";
import type { Change } from "./connection.js";
import type { Env } from "./env.js";
import type { CarillonError } from "./errors.js";
import type { ChannelFrame } from "./protocol.js";

/** What a channel needs of its client. */
export interface ChannelLink {
  env: Env;
  commands: Commands;
  lingerMs: number;
  store: PositionStore | undefined;
  isUp(): boolean;
  isClosed(): boolean;
  /** There must be a connection. Once the client is closed, only its user brings it back. */
  want(): void;
  report(error: CarillonError): void;
}

/** The side of the client. */
export interface ChannelSource extends Channel {
  /** The connection has changed. Once it has ended, no timer may run. */
  follow(connection: Change): void;
  /** A frame of the server about this channel, which is no answer. */
  receive(frame: ChannelFrame): void;
  /** Forgets listeners, position and presence. */
  dispose(): void;
}
