import { Carillon, Unauthorized } from "@carillon/client";
import { CarillonProvider } from "@carillon/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Room } from "./Room";
import { SignIn } from "./SignIn";

const user = new URLSearchParams(location.search).get("user");

const client = new Carillon({
  url: location.origin,
  outbox: "queue", // what is sent while the connection is down goes out afterwards, once
  async getToken({ signal }) {
    const answer = await fetch(`/token${location.search}`, { method: "POST", signal });
    if (answer.status === 401) throw new Unauthorized();
    if (!answer.ok) throw new Error(`no token: ${answer.status}`); // the client tries again later
    return answer.text();
  },
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    {user ? (
      <CarillonProvider client={client}>
        <Room id="lobby" user={user} />
      </CarillonProvider>
    ) : (
      <SignIn />
    )}
  </StrictMode>,
);
