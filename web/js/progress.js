// Where a sent photo is, in the server's own words: waiting in the queue and at which place, or
// computing. The photo travels under a name of our own, and the server is asked after that name.
import { getJson } from "./api.js";

const FIRST_LOOK_MS = 100;
const NEXT_LOOK_MS = 500;

// A name that nobody else gives and nobody guesses. (randomUUID would need HTTPS.)
export function newTicket() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Calls tell({phase: "wait", place}) or tell({phase: "compute", loading}) until stop() is called.
export function watchQueue(ticket, tell) {
  let stopped = false;
  let timer = 0;
  const look = async () => {
    try {
      const now = await getJson(`/api/v1/queue/${ticket}`);
      if (stopped) return;
      if (now.state === "waiting") tell({ phase: "wait", place: now.place });
      if (now.state === "computing") tell({ phase: "compute", loading: !now.model_loaded });
    } catch {
      // The answer itself will say what is wrong.
    }
    if (!stopped) timer = setTimeout(look, NEXT_LOOK_MS);
  };
  timer = setTimeout(look, FIRST_LOOK_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
