// The result view: what the model answered, the heatmap over the photo, what it all does not mean,
// and what can be done with it.
import * as api from "./api.js";
import { announce, h, icon, note, replace, save } from "./dom.js";
import { limitSentences, limitsNote, nameOf } from "./conditions.js";
import { Explanations } from "./explanations.js";
import { DeletedView } from "./deleted.js";
import { facts } from "./facts.js";
import { composePng } from "./heatmap.js";
import { moment, percent, t } from "./language.js";
import { limits } from "./limits.js";
import { Stage } from "./stage.js";
import { troubleNote } from "./trouble.js";

const CLOSE = 0.15; // the second class this near to the first makes the first one doubtful

export class ResultView {
  constructor(app, answer, file) {
    Object.assign(this, {
      app,
      answer,
      latest: answer,
      trouble: null,
      busy: null,
      deleting: false,
    });
    this.made = answer.created ? new Date(answer.created) : new Date();
    this.explanations = new Explanations(answer, file);
    const first = this.explanations.first;
    this.choice = {
      class_id: first?.class_id ?? answer.predictions[0]?.class_id,
      method: first?.method ?? "gradcam",
      layer: "auto",
    };
    this.stage = new Stage((change) => this.explain(change));
    this.url = file && URL.createObjectURL(file);
    this.stage.setPhoto(...[this.url, `/api/v1/results/${answer.id}/photo.jpg`].filter(Boolean));
    this.stage.missed = () => this.draw();
    this.stage.opened = () => this.listLayers();
  }

  // Only when somebody opens the list: asking loads a model that has been unloaded meanwhile.
  async listLayers() {
    if (this.stage.layers.length > 0) return;
    try {
      const { layers } = await api.getJson(
        `/api/v1/models/${encodeURIComponent(limits.modelName)}/layers`,
      );
      this.stage.layers = layers;
      if (this.app.view === this) this.draw();
    } catch {
      // Automatic and last convolution remain to choose from.
    }
  }

  leave() {
    this.trouble?.stop();
    this.explanations.calling?.abort();
    if (this.url) URL.revokeObjectURL(this.url);
  }

  // The model that answered; of another one than the page's nothing is known but its name.
  model() {
    const { app, answer } = this;
    return app.model?.name === answer.model.name ? app.model : { name: answer.model.name };
  }

  name(prediction) {
    return nameOf(this.model(), prediction);
  }

  chosenPrediction() {
    return (
      this.answer.predictions.find(({ class_id }) => class_id === this.choice.class_id) ??
      this.choice
    );
  }

  // Shows the heatmap for another class, method or layer; what is shown stays until it is here.
  async explain(change) {
    const before = this.choice;
    this.choice = { ...before, ...change };
    const choice = this.choice;
    this.trouble?.stop();
    this.trouble = null;
    this.busy = choice;
    const name = this.name(this.chosenPrediction());
    announce(t("result.busy", { name }));
    this.draw();
    try {
      const { answer } = await this.explanations.get(choice);
      if (this.choice !== choice) return;
      this.latest = answer;
      announce(t("result.ready", { name }));
    } catch (error) {
      if (this.choice !== choice || error.kind === "aborted") return;
      this.choice = before;
      this.trouble = troubleNote(error, { again: () => this.explain(change), known: true });
    }
    this.busy = null;
    if (this.app.view !== this) return;
    this.draw();
    this.bringIntoView();
  }

  // On a phone the classes are far below the picture that they change.
  bringIntoView() {
    const stage = document.getElementById("stage");
    const { top, bottom } = stage.getBoundingClientRect();
    if (bottom - 120 > 0 && top < innerHeight - 120) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    stage.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  }

  draw() {
    const { app, answer } = this;
    const [top] = answer.predictions;
    app.place.className = "result";
    document.title = `${this.name(top)} · dermlens`;
    replace(
      app.place,
      this.printHead(),
      this.verdict(top),
      h("section", { class: "pictures stack", "aria-label": t("map.title") }, this.pictures()),
      h(
        "section",
        { class: "answers" },
        this.unknown(),
        limitsNote(this.model()),
        this.bars(),
        this.disclaimers(),
        this.actions(),
        this.facts(),
        this.trust(),
      ),
    );
  }

  printHead() {
    return h(
      "header",
      { class: "on-paper" },
      h("p", {}, t("print.title")),
      h(
        "p",
        { class: "figures" },
        `${moment(this.made)} · ${this.answer.model.name} ${this.answer.model.version ?? ""}`,
      ),
    );
  }

  verdict(top) {
    const second = this.answer.predictions[1];
    const close = second && top.probability - second.probability < CLOSE;
    return h(
      "section",
      { class: "verdict" },
      h("p", { class: "label" }, t("result.top")),
      h(
        "h1",
        { tabindex: "-1" },
        this.name(top),
        " ",
        h("span", { class: "figures" }, percent(top.probability)),
      ),
      close && h("p", { class: "muted" }, t("result.unsure")),
    );
  }

  unknown() {
    const known = this.answer.gate?.known ?? true;
    return known
      ? null
      : note("careful", "careful", t("result.unknown"), h("p", {}, t("result.unknownText")));
  }

  pictures() {
    const shown = this.shownExplanation();
    if (shown)
      this.stage.set(
        shown,
        this.name(
          this.answer.predictions.find(({ class_id }) => class_id === shown.class_id) ?? shown,
        ),
      );
    this.stage.chosen = this.choice;
    const figure = this.stage.figure();
    figure.classList.toggle("busy", Boolean(this.busy));
    if (!shown) return [figure, h("p", { class: "muted" }, t("map.off"))];
    return [
      figure,
      this.stage.caption(),
      this.trouble,
      this.stage.controls(),
      h("p", { class: "sentence" }, icon("info"), t("map.sentence")),
      this.stage.paper(),
    ];
  }

  shownExplanation() {
    return this.latest.explanations?.[0] ?? null;
  }

  bars() {
    const can = Boolean(this.explanations.first) && !this.stage.missing;
    return h(
      "section",
      { class: "bars", "aria-labelledby": "bars-title" },
      h("h2", { id: "bars-title" }, t("result.all")),
      can && h("p", { class: "small muted" }, t("result.pick")),
      h(
        "ul",
        {},
        this.answer.predictions.map((prediction) => h("li", {}, this.bar(prediction, can))),
      ),
    );
  }

  bar(prediction, can) {
    const { class_id, probability } = prediction;
    const chosen = can && class_id === this.choice.class_id;
    const inside = [
      h("span", { class: "name" }, this.name(prediction)),
      h("span", { class: "share figures" }, percent(probability)),
      h("meter", { min: "0", max: "1", value: probability, "aria-hidden": "true" }),
    ];
    if (!can) return h("div", { class: "bar" }, inside);
    return h(
      "button",
      {
        type: "button",
        class: `bar${this.busy && chosen ? " busy" : ""}`,
        id: `class-${class_id}`,
        "aria-pressed": String(chosen),
        onclick: () => !chosen && this.explain({ class_id }),
      },
      inside,
    );
  }

  disclaimers() {
    return h(
      "div",
      { class: "disclaimers" },
      h("p", {}, t("disclaimer.error")),
      h("p", {}, t("disclaimer.clinical")),
    );
  }

  facts() {
    const { latest, made, factsOpen: open } = this;
    const toggled = (now) => (this.factsOpen = now);
    return facts({ latest, id: this.answer.id, made, open, toggled });
  }

  trust() {
    const sentences = limitSentences(this.model());
    return h(
      "details",
      { class: "about" },
      h("summary", {}, t("limits.more")),
      h(
        "ul",
        { class: "small muted" },
        sentences.map((text) => h("li", {}, text)),
      ),
    );
  }

  actions() {
    const button = (id, symbol, act, kind = "") =>
      h(
        "button",
        { type: "button", class: `button ${kind}`, id: `do-${id}`, onclick: act },
        symbol && icon(symbol),
        t(`do.${id}`),
      );
    if (this.deleting)
      return h(
        "div",
        { class: "note wrong", role: "group", "aria-labelledby": "sure" },
        icon("trash"),
        h(
          "div",
          {},
          h("p", { id: "sure" }, t("do.deleteSure")),
          h(
            "div",
            { class: "row" },
            button("deleteYes", null, () => this.delete(), "grave"),
            button("deleteNo", null, () => this.askToDelete(false)),
          ),
        ),
      );
    return h(
      "div",
      { class: "actions" },
      button("another", "camera", () => this.app.toStart(), "main"),
      !this.stage.missing && button("png", "download", () => this.savePng()),
      button("json", "download", () => this.saveJson()),
      button("print", "print", () => print()),
      button("delete", "trash", () => this.askToDelete(true), "grave"),
    );
  }

  askToDelete(deleting) {
    this.deleting = deleting;
    this.draw();
    document.getElementById(deleting ? "do-deleteNo" : "do-delete")?.focus();
  }

  async delete() {
    try {
      await api.remove(`/api/v1/results/${this.answer.id}`);
    } catch (error) {
      if (error.status !== 404) {
        this.trouble = troubleNote(error, { again: () => this.delete() });
        this.deleting = false;
        this.draw();
        this.trouble.scrollIntoView({ block: "center" });
        return;
      }
    }
    this.app.results.delete(this.answer.id);
    history.replaceState({}, "", "/");
    this.app.show(new DeletedView(this.app));
  }

  fileName(ending) {
    return `dermlens-${this.answer.id.slice(0, 8)}-${this.choice.class_id}.${ending}`;
  }

  async savePng() {
    const map = this.stage.shows ? this.stage.canvas : null;
    save(this.fileName("png"), await composePng(this.stage.photo, map, this.stage.look.opacity));
  }

  saveJson() {
    const document = { ...this.answer, explanations: this.explanations.all() };
    save(
      this.fileName("json"),
      new Blob([JSON.stringify(document, null, 1)], { type: "application/json" }),
    );
  }
}
