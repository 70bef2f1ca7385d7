import type { ChannelLink } from "./channel-link.js";
import { createEmitter, until, type Emitter } from "./emitter.js";
import type { CarillonError } from "./errors.js";
import type { Member } from "./protocol.js";

/** The users who are subscribed to a channel. It is kept current while the channel has listeners, of events or of `onChange`. */
export interface Presence {
  /** In the order of their names. */
  readonly members: readonly Member[];
  /** Whether `members` is complete. */
  readonly ready: boolean;
  /** The members: to a new listener at once if they are known, then whenever they have changed. */
  readonly onChange: Emitter<[members: readonly Member[]]>;
}

/** The side of the channel. */
export interface PresenceSource extends Presence {
  /** The channel is live, or events may have been lost: the list is read anew. */
  ask(): Promise<void>;
  change(type: "join" | "leave", member: Member): void;
  lost(): void;
  reset(): void;
  removeAll(): void;
}

/** After a list that the server could not give: about so long until it is asked again. */
const RETRY_MS = 2000;

/** @param hold - keeps the channel subscribed until the returned function is called */
export function createPresence(name: string, { env, commands, report }: ChannelLink, hold: () => () => void): PresenceSource {
  const emitter = createEmitter<[readonly Member[]]>();
  let byUser = new Map<string, Member>();
  let members: readonly Member[] = [];
  let ready = false;
  /** Changes since the list was asked for. They count after its pages. `null`: no list is on its way. */
  let since: (() => void)[] | null = null;
  let retry: unknown;

  function tell(): void {
    members = [...byUser.values()].sort((a, b) => (a.user < b.user ? -1 : 1));
    emitter.emit(members);
  }

  function stop(): void {
    since = null;
    ready = false;
    env.clearTimeout(retry);
  }

  async function ask(): Promise<void> {
    stop();
    const mine: (() => void)[] = [];
    since = mine;
    try {
      const fresh = new Map<string, Member>();
      for (let after: string | null | undefined; after !== null && mine === since; ) {
        const { data } = await commands.send("presence", { channel: name, limit: 1000, after });
        for (const member of data.members) fresh.set(member.user, member);
        after = data.next;
      }
      if (mine !== since) return;
      byUser = fresh;
      mine.forEach((apply) => apply());
      since = null;
      ready = true;
      tell();
    } catch (thrown) {
      const error = thrown as CarillonError;
      if (mine !== since) return;
      since = null;
      if (error.retryable) retry = env.setTimeout(() => void ask(), RETRY_MS * (0.5 + env.random()));
      else report(error);
    }
  }

  return {
    get members() {
      return members;
    },
    get ready() {
      return ready;
    },
    onChange: {
      subscribe(listener, options) {
        const off = emitter.subscribe(listener);
        let release: (() => void) | null = hold();
        if (ready) queueMicrotask(() => release && listener(members));
        return until(options?.signal, () => {
          off();
          release?.();
          release = null;
        });
      },
    },
    ask,
    change(type, member) {
      const apply = () => void (type === "join" ? byUser.set(member.user, member) : byUser.delete(member.user));
      if (since) since.push(apply);
      else if (ready) {
        apply();
        tell();
      }
    },
    lost: stop,
    reset() {
      stop();
      byUser = new Map();
      members = [];
    },
    removeAll: emitter.removeAll,
  };
}
