import { backoff } from "./backoff.js";
import type { Channel } from "./channel-api.js";
import type { ChannelLink } from "./channel-link.js";
import { createEmitter } from "./emitter.js";
import { CarillonError } from "./errors.js";
import type { ChannelEvent, HistoryPage, Position } from "./protocol.js";

/** Events that one page of the history may have at most. */
const PAGE_MAX = 1000;
/** A page that the server cannot give now is asked for so many times again. No wait is short: the rate of messages must allow one. */
const RETRIES = 4;

/** The earlier events that a listener asks for. */
export interface Earlier {
  last?: number | undefined;
  since?: Position | undefined;
}

/** One listener, and the earlier events that come before its live ones. */
export interface Backlog {
  /** A live event. It waits until the earlier ones have come. */
  receive(event: ChannelEvent): void;
  /**
   * The channel is live: the earlier events are read, unless that is done.
   * @param anew - events are missing before this moment, so those that wait do not count
   */
  read(anew: boolean): Promise<void>;
  /** The connection is down: nothing is read until the next `read`. */
  halt(): void;
  /** The listener has gone. */
  end(): void;
}

/** Reads by `history` what one listener asks for, once the `subscribe` of its channel cannot bring it any more. */
export function createBacklog({ last, since }: Earlier, { env, report }: ChannelLink, channel: Channel, listener: (event: ChannelEvent) => void): Backlog {
  const own = createEmitter<[ChannelEvent]>();
  own.subscribe(listener);
  /** Live events that wait. `null`: none has to any more. */
  let held: ChannelEvent[] | null = [];
  /** Of `read`. What an earlier one gets says nothing. */
  let turn = 0;
  let retry: unknown;

  /** Pages end early where their events are large, so `last` may need several too. It reads them backwards. */
  function nextPage(earlier: ChannelEvent[]): Promise<HistoryPage> {
    const place = ({ offset } = earlier.at(last ? 0 : -1)!): Position => ({ epoch: channel.position!.epoch, offset: offset! });
    const next = earlier.length ? place() : undefined;
    return channel.history(last ? { before: next, limit: Math.min(last - earlier.length, PAGE_MAX) } : { since: next ?? since, limit: PAGE_MAX });
  }

  function halt(): void {
    turn++;
    env.clearTimeout(retry);
  }

  /** All that are there. Those after the live position come live. */
  function tell(earlier: ChannelEvent[]): void {
    const all = [...earlier, ...held!];
    held = null;
    let told = 0;
    for (const event of all) {
      const { offset } = event;
      if (offset && (offset <= told || offset > channel.position!.offset)) continue;
      told = offset ?? told;
      own.emit(event);
    }
  }

  return {
    receive: (event) => (held ? void held.push(event) : own.emit(event)),
    async read(anew) {
      if (!held) return;
      halt();
      const mine = turn;
      if (anew) held = [];
      let earlier: ChannelEvent[] = [];
      for (let more = channel.position !== null, failures = 0; more; ) {
        try {
          const { epoch, offset, events, more: further } = await nextPage(earlier);
          if (mine !== turn) return;
          if (epoch !== channel.position!.epoch) break; // the gap that tells it is on its way
          const from = earlier.at(-1) ?? since;
          if (from && !last && (events[0]?.offset ?? offset! + 1) > from.offset! + 1) report(new CarillonError("history_too_short", "events are missing"));
          earlier = last ? [...events, ...earlier] : [...earlier, ...events];
          more = further && (last ? earlier.length < last : earlier.at(-1)!.offset! < channel.position!.offset);
          failures = 0;
        } catch (thrown) {
          const error = thrown as CarillonError;
          if (mine !== turn) return;
          if ((more = error.retryable && failures++ < RETRIES))
            await new Promise<void>((resolve) => (retry = env.setTimeout(resolve, backoff(failures, 1000, 16_000, (1 + env.random()) / 2))));
          else report(error);
        }
      }
      tell(earlier);
    },
    halt,
    end() {
      halt();
      own.removeAll();
    },
  };
}
