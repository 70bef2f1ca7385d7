import type { Commands } from "./commands.js";
import { createEmitter, type Emitter } from "./emitter.js";
import type { Member } from "./protocol.js";

/** The users who are subscribed to a channel. It is kept current while `onChange` has listeners. */
export interface Presence {
  /** In the order of their names. */
  readonly members: readonly Member[];
  /** Whether `members` is complete. */
  readonly ready: boolean;
  readonly onChange: Emitter<[members: readonly Member[]]>;
}

/** The side of the channel. */
export interface PresenceSource extends Presence {
  /** The channel is live, or events may have been lost: the list is read anew. */
  ask(): void;
  change(type: "join" | "leave", member: Member): void;
  lost(): void;
  reset(): void;
}

export interface PresenceLink {
  name: string;
  commands: Commands;
  /** Keeps the channel subscribed until the returned function is called. */
  hold(): () => void;
  isLive(): boolean;
  report(error: unknown): void;
}

export function createPresence({ name, commands, hold, isLive, report }: PresenceLink): PresenceSource {
  const emitter = createEmitter<[readonly Member[]]>();
  let byUser = new Map<string, Member>();
  let members: readonly Member[] = [];
  let ready = false;
  /** Changes since the list was asked for. They count after its pages. `null`: no list is on its way. */
  let since: (() => void)[] | null = null;
  let round = 0;

  function tell(): void {
    members = [...byUser.values()].sort((a, b) => (a.user < b.user ? -1 : 1));
    emitter.emit(members);
  }

  async function ask(): Promise<void> {
    const mine = ++round;
    since = [];
    try {
      const fresh = new Map<string, Member>();
      let after: string | null = null;
      do {
        const page: { members: Member[]; next: string | null } = (
          await commands.send({ type: "presence", data: { channel: name, limit: 1000, ...(after !== null && { after }) } }, "presence")
        ).data;
        for (const member of page.members) fresh.set(member.user, member);
        after = page.next;
      } while (after !== null && mine === round);
      if (mine !== round) return;
      byUser = fresh;
      since.forEach((apply) => apply());
      since = null;
      ready = true;
      tell();
    } catch (error) {
      if (mine === round && (error as { code?: string }).code !== "offline") report(error);
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
        const off = emitter.subscribe(listener, options);
        const release = hold();
        if (isLive() && !ready && since === null) void ask();
        let held = true;
        const stop = () => {
          if (!held) return;
          held = false;
          options?.signal?.removeEventListener("abort", stop);
          off();
          release();
        };
        options?.signal?.addEventListener("abort", stop, { once: true });
        return stop;
      },
    },
    ask() {
      if (emitter.size > 0) void ask();
    },
    change(type, member) {
      const apply = () => void (type === "join" ? byUser.set(member.user, member) : byUser.delete(member.user));
      if (since) since.push(apply);
      else if (ready) {
        apply();
        tell();
      }
    },
    lost() {
      round++;
      since = null;
      ready = false;
    },
    reset() {
      round++;
      since = null;
      ready = false;
      byUser = new Map();
      members = [];
    },
  };
}
