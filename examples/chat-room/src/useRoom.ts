import type { BuiltInEvents, ChannelEvent } from "@carillon/client";
import { useCarillon } from "@carillon/react";
import { useEffect, useState } from "react";

export type Message = ChannelEvent<"chat_message", BuiltInEvents["chat_message"]>;

/** A message that the server does not have yet. */
export interface Waiting {
  key: string;
  content: string;
}

const PAGE = 30;

/** The newest messages of a room, older ones when they are asked for, and those on their way to the server. */
export function useRoom(id: string, user: string) {
  const channel = useCarillon().channel(`room:${id}`);
  const [messages, setMessages] = useState<Message[]>([]);
  const [hasMore, setHasMore] = useState(true);
  const [waiting, setWaiting] = useState<Waiting[]>([]);
  const first = messages[0]?.offset ?? 1;

  useEffect(() => {
    const left = new AbortController();
    const { signal } = left;
    channel.on("chat_message", (message) => setMessages((all) => [...all, message]), { last: PAGE, signal });
    channel.onContinuity.subscribe(({ recovered }) => recovered || void reload(), { signal });

    /** The server cannot say what was missed. What it has takes the place of all messages. */
    async function reload() {
      setMessages([]);
      const { events, offset = 0 } = await channel.history({ limit: PAGE, signal });
      setMessages((since) => [...(events as Message[]), ...since.filter((message) => message.offset! > offset)]);
      setHasMore(true);
    }

    return () => {
      left.abort();
      setMessages([]);
    };
  }, [channel]);

  async function loadEarlier() {
    const { epoch } = channel.position!;
    const { events, more } = await channel.history({ before: { epoch, offset: first }, limit: PAGE });
    setMessages((all) => [...(events as Message[]), ...all]);
    setHasMore(more);
  }

  async function send(content: string) {
    const item = { key: crypto.randomUUID(), content };
    setWaiting((all) => [...all, item]);
    try {
      await channel.publish("chat_message", { conversation_id: id, sender_id: user, content });
    } finally {
      setWaiting((all) => all.filter((other) => other !== item));
    }
  }

  return { messages, waiting, send, loadEarlier: hasMore && first > 1 ? loadEarlier : undefined };
}
