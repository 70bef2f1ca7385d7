import type { ChannelSource } from "./channel-link.js";
import { errorOf, type Commands } from "./commands.js";
import type { Env } from "./env.js";
import type { CarillonError } from "./errors.js";
import type { MachineEvent } from "./machine-state.js";
import type { ChannelFrame, ServerFrame, SessionInfo } from "./protocol.js";

/** What a session needs of its client. */
export interface SessionLink {
  env: Env;
  commands: Commands;
  channels: ReadonlyMap<string, ChannelSource>;
  /** Tells the connection. */
  dispatch(event: MachineEvent): void;
  report(error: unknown): void;
}

/** What the server says over the connection, and who it says that the user is. */
export interface Session {
  /** `null`: the connection is not open. */
  readonly info: SessionInfo | null;
  /** A message has come. */
  receive(event: { data: string }): void;
  /** Continues the connection with another token. */
  refresh(token: string): Promise<void>;
  /** The connection is not open any more. */
  end(): void;
}

/** Silence that is longer than the server's ping interval by this means that the line may be dead. */
const SILENCE_MARGIN_MS = 10_000;

export function createSession({ env, commands, channels, dispatch, report }: SessionLink): Session {
  let info: SessionInfo | null = null;
  /** The server's clock less this one. */
  let ahead = 0;

  function receiveFrame(frame: ServerFrame): void {
    if (frame.type === "pong") dispatch(frame);
    // Commands have numbers. Events have texts.
    if ("id" in frame && typeof frame.id === "number") return commands.settle(frame);
    switch (frame.type) {
      case "session_init":
        return begin(frame);
      case "warning":
        if (frame.data.code === "token_expiring") dispatch({ type: "refresh" });
        return;
      case "reconnect":
        return dispatch({ type: "reconnect", afterMs: frame.data.after_ms });
      case "error":
        return report(errorOf(frame));
      default:
        channels.get((frame as ChannelFrame).channel)?.receive(frame as ChannelFrame);
    }
  }

  function begin({ session_id, timestamp, data }: Extract<ServerFrame, { type: "session_init" }>): void {
    ahead = Date.parse(timestamp) - env.now();
    const expiresAt = parseTime(data.expires_at);
    info = { id: session_id, user: data.user, expiresAt, limits: data.limits };
    dispatch({
      type: "open",
      silenceMs: data.ping_interval_s && data.ping_interval_s * 1000 + SILENCE_MARGIN_MS,
      lifetimeMs: lifetime(expiresAt),
    });
  }

  function lifetime(expiresAt: number | null): number | undefined {
    return expiresAt === null ? undefined : expiresAt - env.now() - ahead;
  }

  return {
    get info() {
      return info;
    },
    receive({ data }) {
      try {
        receiveFrame(JSON.parse(data));
      } catch (error) {
        report(error); // not JSON: no server of Carillon is there
      }
    },
    async refresh(token) {
      try {
        const expiresAt = parseTime((await commands.send("refresh", { token })).data.expires_at);
        if (info) info = { ...info, expiresAt };
        dispatch({ type: "refreshed", lifetimeMs: lifetime(expiresAt) });
      } catch (thrown) {
        const error = thrown as CarillonError;
        if (error.code === "offline") return; // the next connection begins with the new token
        report(error);
        dispatch({ type: "refused", ending: { code: error.retryable ? 1013 : 1008, reason: error.reason ?? error.code } });
      }
    },
    end() {
      info = null;
    },
  };
}

function parseTime(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
