import type { ChannelLink, ChannelSource } from "./channel-link.js";
import { errorOf, type AnswerFrame } from "./commands.js";
import { asError, type CarillonError } from "./errors.js";
import type { MachineEvent } from "./machine-state.js";
import type { ChannelFrame, ServerFrame, SessionInfo } from "./protocol.js";

/** What the server says over the connection, and who it says that the user is. */
export interface Session {
  /** Of the last connection that was open. */
  readonly info: SessionInfo | null;
  /** A message has come. */
  receive(event: { data: string }): void;
  /** Continues the connection with another token. */
  refresh(token: string): Promise<void>;
}

/** Silence that is longer than the server's ping interval by this means that the line may be dead. */
const SILENCE_MARGIN_MS = 10_000;
/** With this lifetime or a longer one the last fifth begins before the server's warning comes. */
const WARNED_MS = 150_000;

/** @param dispatch - tells the connection */
export function createSession({ env, commands, isUp, report }: ChannelLink, channels: ReadonlyMap<string, ChannelSource>, dispatch: (event: MachineEvent) => void): Session {
  let info: SessionInfo | null = null;
  /** The server's clock less this one. */
  let ahead = 0;
  /** Of the token, when it was taken. */
  let life: number | null = null;

  function receiveFrame(frame: ServerFrame): void {
    if (frame.type === "pong") dispatch(frame);
    // Commands have numbers. Events have texts.
    if (typeof (frame as AnswerFrame).id === "number") return commands.settle(frame as AnswerFrame);
    switch (frame.type) {
      case "session_init":
        return begin(frame);
      case "warning":
        // It comes 30 s before the end. A shorter token is refreshed by its lifetime alone: it would be warned of at once, each time.
        if (frame.data.code === "token_expiring" && life! >= WARNED_MS) dispatch({ type: "refresh" });
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
    info = { id: session_id, user: data.user, expiresAt: null, limits: data.limits };
    dispatch({
      type: "open",
      silenceMs: data.ping_interval_s && data.ping_interval_s * 1000 + SILENCE_MARGIN_MS,
      lifetimeMs: lifetime(data.expires_at),
    });
  }

  /** Of the token that the server has taken. */
  function lifetime(end: string | null): number | null {
    const expiresAt = end === null ? end : Date.parse(end);
    info = { ...info!, expiresAt };
    return (life = expiresAt && expiresAt - env.now() - ahead);
  }

  return {
    get info() {
      return info;
    },
    receive({ data }) {
      try {
        receiveFrame(JSON.parse(data));
      } catch (error) {
        report(asError("invalid_answer", error)); // not JSON: no server of Carillon is there
      }
    },
    async refresh(token) {
      try {
        dispatch({ type: "refreshed", lifetimeMs: lifetime((await commands.send("refresh", { token })).data.expires_at) });
      } catch (thrown) {
        const error = thrown as CarillonError;
        if (!isUp()) return; // the next connection begins with the new token
        report(error);
        dispatch({ type: "refused", ending: { code: error.retryable ? 1013 : 1008, reason: error.reason ?? error.code } });
      }
    },
  };
}
