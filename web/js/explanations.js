// The heatmaps of one photo: the one that came with the answer, and those asked for later (another
// class, method or layer). Each is fetched once, and the server keeps none of the later ones: the
// first result is the one that has an address.
import * as api from "./api.js";

const key = ({ class_id, method, layer }) => `${class_id}|${method}|${layer}`;

export class Explanations {
  // `file` may be null (a result opened by its address): then the server's own copy is sent again.
  constructor(answer, file) {
    this.answer = answer;
    this.file = file;
    this.fetched = new Map();
    const first = answer.explanations?.[0];
    if (first) this.fetched.set(key({ ...first, layer: "auto" }), { explanation: first, answer });
  }

  get first() {
    return this.answer.explanations?.[0] ?? null;
  }

  all() {
    return [...this.fetched.values()].map(({ explanation }) => explanation);
  }

  async photo() {
    this.file ??= await api
      .request(`/api/v1/results/${this.answer.id}/photo.jpg`, { headers: { Accept: "image/jpeg" } })
      .then((response) => response.blob());
    return this.file;
  }

  // Resolves with {explanation, answer}; a newer call aborts an older one.
  async get(choice) {
    this.calling?.abort();
    const known = this.fetched.get(key(choice));
    if (known) return known;
    this.calling = new AbortController();
    const { signal } = this.calling;
    const parameters = {
      target: choice.class_id,
      method: choice.method,
      layer: choice.layer,
      output: "map",
      keep: 0,
    };
    const file = await this.photo();
    if (signal.aborted) throw new api.Trouble("aborted");
    const answer = await api.explain(file, parameters, { signal });
    const explanation = answer.explanations?.[0];
    if (!explanation) throw new api.Trouble("status", { status: 200, code: "no_map" });
    this.fetched.set(key(choice), { explanation, answer });
    return this.fetched.get(key(choice));
  }
}

// Where the map is strongest, as one of nine places: "top-left" ... "bottom-right", "middle".
export function strongest({ grid: [rows, columns], map }) {
  const at = map.indexOf(Math.max(...map));
  const third = (index, count) => Math.min(2, Math.floor(((index + 0.5) / count) * 3));
  const vertical = ["top", "", "bottom"][third(Math.floor(at / columns), rows)];
  const horizontal = ["left", "", "right"][third(at % columns, columns)];
  return [vertical, horizontal].filter(Boolean).join("-") || "middle";
}
