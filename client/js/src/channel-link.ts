import type { Channel, PositionStore, PublishOptions, PublishResult } from "./channel-api.js";
import type { Commands } from "./commands.js";
import type { Change } from "./connection.js";
import type { Env } from "./env.js";
import type { ChannelFrame } from "./protocol.js";

/** What a channel needs of its client. */
export interface ChannelLink {
  env: Env;
  commands: Commands;
  lingerMs: number;
  store: PositionStore | undefined;
  isUp(): boolean;
  isClosed(): boolean;
  /** The first listener has come: there must be a connection. */
  want(): void;
  publish(command: Record<string, unknown>, options: PublishOptions): Promise<PublishResult>;
  report(error: unknown): void;
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
