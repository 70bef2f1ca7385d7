import { useConnection, usePresence } from "@carillon/react";
import { useState, type FormEvent } from "react";
import { useRoom } from "./useRoom";

const BADGES = { idle: "…", connecting: "connecting…", open: "live", reconnecting: "reconnecting…", closing: "closed", closed: "closed" };

export function Room({ id, user }: { id: string; user: string }) {
  const { messages, waiting, send, loadEarlier } = useRoom(id, user);
  const people = usePresence(`room:${id}`);
  const connection = useConnection();
  return (
    <main className="room">
      <header>
        <h1>#{id}</h1>
        <output className="badge" data-state={connection}>
          {BADGES[connection]}
        </output>
      </header>
      <aside aria-label="Who is here">
        <h2>{people.length} here</h2>
        <ul>
          {people.map((member) => (
            <li key={member.user}>
              {member.user}
              {member.user === user && " (you)"}
            </li>
          ))}
        </ul>
      </aside>
      <section className="log" role="log" aria-label="Messages" tabIndex={0}>
        <ol>
          {messages.map((message) => (
            <li key={message.id} className={message.user === user ? "mine" : undefined}>
              <b>{message.user}</b> <time dateTime={message.timestamp}>{clock(message.timestamp)}</time>
              <p>{message.data.content}</p>
            </li>
          ))}
          {waiting.map(({ key, content }) => (
            <li key={key} className="mine waiting">
              <b>{user}</b> waits for the connection
              <p>{content}</p>
            </li>
          ))}
        </ol>
        {loadEarlier && <button onClick={() => void loadEarlier()}>Earlier messages</button>}
      </section>
      <Composer send={send} />
    </main>
  );
}

function Composer({ send }: { send(content: string): Promise<void> }) {
  const [problem, setProblem] = useState("");
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const content = String(new FormData(event.currentTarget).get("content")).trim();
    event.currentTarget.reset();
    setProblem("");
    if (content) send(content).catch((error: Error) => setProblem(`“${content}” was not sent: ${error.message}`));
  }
  return (
    <form onSubmit={submit}>
      {problem && <p role="alert">{problem}</p>}
      <input name="content" aria-label="Message" placeholder="Message" autoComplete="off" autoFocus required maxLength={2000} />
      <button>Send</button>
    </form>
  );
}

const clock = (timestamp: string) => new Date(timestamp).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
