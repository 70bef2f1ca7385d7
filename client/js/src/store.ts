import type { PositionStore } from "./channel-api.js";
import type { Position } from "./protocol.js";

/** Positions in `sessionStorage`, or in another storage of that kind: a page that is loaded again gets what it missed. */
export function storageStore(storage: Pick<Storage, "getItem" | "setItem" | "removeItem">, prefix = "carillon:"): PositionStore {
  return {
    get(channel) {
      try {
        return JSON.parse(storage.getItem(prefix + channel)!) as Position | null;
      } catch {
        return undefined; // written by somebody else
      }
    },
    set(channel, position) {
      try {
        if (position) storage.setItem(prefix + channel, JSON.stringify(position));
        else storage.removeItem(prefix + channel);
      } catch {
        // the storage is full or forbidden: a reload will not recover
      }
    },
  };
}
