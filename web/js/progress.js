// Where a sent photo is: uploading, waiting in the queue, computing. The server tells how long its
// queue is, not where in it we stand; the queue is first come, first served, so we can never stand
// further back than its length at any moment since we joined, and never move back.
import { getJson } from "./api.js";

const FIRST_LOOK_MS = 250;
const NEXT_LOOK_MS = 700;

// Calls tell({phase: "wait", place}) or tell({phase: "compute"}) until stop() is called.
export function watchQueue(tell) {
  let place = Infinity;
  let stopped = false;
  let timer = 0;
  const look = async () => {
    try {
      const now = await getJson("/memory/");
      if (stopped) return;
      place = Math.min(place, now.queue?.depth ?? 0);
      if (place > 0) tell({ phase: "wait", place });
      else tell({ phase: "compute", loading: now.model_loaded === false });
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
