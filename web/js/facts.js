// Timing and memory of one request, and where its heatmap comes from.
import { h } from "./dom.js";
import { megabytes, milliseconds, moment, t } from "./language.js";
import { methodName } from "./stage.js";

// A folded list of what is known of `latest`, the answer to the last request; `id` and `made` are the
// result's. toggled(open) is told when it is folded or unfolded.
export function facts({ latest, id, made, open, toggled }) {
  const { timing_ms: timing = {}, memory = {} } = latest;
  const shown = latest.explanations?.[0];
  const parts = ["queue", "decode", "forward", "backward", "render"].filter(
    (name) => timing[name] !== undefined,
  );
  const total = parts.reduce((sum, name) => sum + timing[name], 0);
  const row = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return h(
    "details",
    {
      class: "about",
      id: "about",
      open,
      ontoggle: (event) => toggled(event.target.open),
    },
    h(
      "summary",
      { id: "about-title" },
      t("facts.title"),
      h(
        "span",
        { class: "muted small figures" },
        `${milliseconds(total)} · ${megabytes(memory.peak_bytes ?? 0)}`,
      ),
    ),
    h(
      "dl",
      { class: "facts" },
      row(t("facts.model"), `${latest.model.name} ${latest.model.version ?? ""}`),
      row(t("facts.time"), milliseconds(total)),
      parts.map((name) => row(`– ${t(`facts.${name}`)}`, milliseconds(timing[name]))),
      row(t("facts.planned"), megabytes(memory.planned_bytes ?? 0)),
      row(t("facts.peak"), megabytes(memory.peak_bytes ?? 0)),
      shown && [
        row(t("facts.method"), methodName(shown.method)),
        row(t("facts.layer"), shown.layer),
        row(t("facts.grid"), shown.grid.join(" × ")),
      ],
      row(t("facts.at"), moment(made)),
      row(t("facts.id"), id),
    ),
    latest.warnings?.length > 0 && [
      h("h3", {}, t("result.warnings")),
      h(
        "ul",
        { class: "small muted" },
        latest.warnings.map((text) => h("li", { lang: "en" }, text)),
      ),
    ],
  );
}
