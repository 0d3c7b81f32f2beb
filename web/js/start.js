// The start view: a place for one photo (camera, file, drop, paste), its preview, and its sending.
import * as api from "./api.js";
import { announce, h, icon, replace } from "./dom.js";
import { cameraHere, takePhoto } from "./camera.js";
import { classesOf, counted, limitSentences, limitsNote, nameOf } from "./conditions.js";
import { limits } from "./limits.js";
import { fileSize, percent, t } from "./language.js";
import { newTicket, watchQueue } from "./progress.js";
import { troubleNote } from "./trouble.js";

const NOTES = ["age", "gender", "symptom", "illness_history", "drug_history"];
const AUTOMATIC_RETRIES = 5;

export class StartView {
  constructor(app, file) {
    this.app = app;
    this.notes = {};
    this.tries = 0;
    this.phase = null; // {name: "upload" | "wait" | "compute", ...} while a photo is on its way
    this.error = null;
    this.listen();
    this.take(file);
  }

  listen() {
    this.listening = new AbortController();
    const on = (name, act) =>
      document.addEventListener(name, act, { signal: this.listening.signal });
    on("paste", (event) => this.accept(event.clipboardData?.files, event));
    on("dragover", (event) => {
      event.preventDefault();
      this.hover(true);
    });
    on("dragleave", (event) => event.relatedTarget === null && this.hover(false));
    on("drop", (event) => {
      this.hover(false);
      event.preventDefault();
      this.accept(event.dataTransfer?.files, event);
    });
  }

  leave() {
    this.listening.abort();
    this.cancel();
    this.trouble?.stop();
    if (this.url) URL.revokeObjectURL(this.url);
  }

  hover(over) {
    const place = document.querySelector(".place");
    place?.classList.toggle("over", over);
    const hint = document.getElementById("drop-hint");
    if (hint) hint.textContent = t(over ? "start.dropNow" : "start.drop");
  }

  accept(files, event) {
    if (!files?.length || this.phase) return;
    event?.preventDefault();
    this.choose(files[0]);
  }

  take(file) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = file;
    this.url = file ? URL.createObjectURL(file) : null;
  }

  choose(file) {
    this.trouble?.stop();
    this.error = this.refusal(file);
    this.tries = 0;
    this.take(this.error ? null : file);
    this.draw();
    document.getElementById(this.file ? "examine" : "camera")?.focus();
  }

  // What the server would refuse anyway, said before anything is sent.
  refusal(file) {
    const refuse = (status, code) => new api.Trouble("status", { status, code });
    if (file.size === 0) return refuse(400, "empty");
    if (file.size > limits.uploadMb * 1048576) return refuse(413, "too_large");
    if (file.type && !file.type.startsWith("image/")) return refuse(415, "unsupported");
    return null;
  }

  async send() {
    this.trouble?.stop();
    this.error = null;
    this.calling = new AbortController();
    this.move({ name: "upload", part: 0 });
    document.getElementById("cancel")?.focus();
    let stopWatching = () => {};
    const ticket = newTicket();
    try {
      const answer = await api.explain(
        this.file,
        // The page draws the map itself; the overlay is for those who open the result's address.
        limits.heatmaps
          ? { ticket, target: "top1", output: "map,photo,overlay_url" }
          : { ticket, output: "photo" },
        {
          notes: this.notes,
          signal: this.calling.signal,
          progress: (part) => this.move({ name: "upload", part }),
          sent: () => {
            this.move({ name: "wait" });
            stopWatching = watchQueue(ticket, ({ phase, place, loading }) =>
              this.move({ name: phase, place, loading }),
            );
          },
        },
      );
      stopWatching();
      this.phase = null;
      this.app.toResult(answer, this.file);
    } catch (error) {
      stopWatching();
      this.phase = null;
      if (error.kind !== "aborted") this.error = error;
      this.tries += 1;
      if (this.app.view !== this) return;
      this.draw();
      document.getElementById(this.error ? "again" : "examine")?.focus();
    }
  }

  cancel() {
    this.calling?.abort();
  }

  move(phase) {
    const changed = this.phase?.name !== phase.name || this.phase?.place !== phase.place;
    this.phase = phase;
    if (this.app.view !== this) return;
    if (phase.name === "upload" && !changed) {
      const bar = document.getElementById("upload-bar");
      if (bar) bar.value = phase.part;
      const text = document.getElementById("upload-part");
      if (text) text.textContent = percent(phase.part);
      return;
    }
    this.draw();
    if (changed) announce(this.phaseText());
  }

  phaseText() {
    const { name, place, loading } = this.phase;
    if (name === "wait")
      return [t("step.wait"), place && t("step.place", { n: place })].filter(Boolean).join(": ");
    return t(name === "upload" ? "step.upload" : loading ? "step.loading" : "step.compute");
  }

  draw() {
    const { app } = this;
    app.place.className = "start";
    this.trouble?.stop();
    replace(
      app.place,
      h(
        "section",
        { class: "intro" },
        h("h1", { tabindex: "-1" }, t("start.title")),
        h("p", { class: "lead" }, counted("start.lead", "start.leadAny", app.model)),
      ),
      h("section", { class: "intake card", "aria-label": t("start.place") }, this.intake()),
      h("section", { class: "limits stack" }, limitsNote(app.model), this.more()),
    );
  }

  intake() {
    this.trouble =
      this.error &&
      troubleNote(this.error, {
        again: () => this.file && this.send(),
        automatic: this.tries <= AUTOMATIC_RETRIES,
      });
    if (!this.file) return [this.trouble, this.chooser(), this.tips()];
    if (this.phase) return [this.preview(), this.steps()];
    return [this.preview(), this.trouble, limits.history && this.notesForm(), this.decide()];
  }

  chooser() {
    const pick = (event) => this.accept(event.target.files);
    const input = (properties) =>
      h("input", {
        type: "file",
        accept: "image/*",
        class: "unseen",
        onchange: pick,
        ...properties,
      });
    const camera = cameraHere()
      ? h(
          "button",
          { type: "button", class: "button main", id: "camera", onclick: () => this.openCamera() },
          icon("camera"),
          t("start.camera"),
        )
      : h(
          "label",
          { class: "button main" },
          icon("camera"),
          t("start.camera"),
          input({ capture: "environment", id: "camera" }),
        );
    return h(
      "div",
      { class: "place" },
      icon("skin"),
      h(
        "div",
        { class: "choices" },
        camera,
        h("label", { class: "button" }, icon("photo"), t("start.choose"), input({ id: "file" })),
      ),
      h("p", { class: "small muted", id: "drop-hint" }, t("start.drop")),
    );
  }

  async openCamera() {
    const file = await takePhoto();
    if (file) this.choose(file);
  }

  tips() {
    const tip = (key) => h("li", {}, icon("check"), t(key));
    return h(
      "ul",
      { class: "tips" },
      tip("start.tip.fill"),
      tip("start.tip.light"),
      tip(limits.history ? "start.tip.privateHistory" : "start.tip.private"),
    );
  }

  preview() {
    const image = h("img", { src: this.url, alt: t("start.previewAlt"), id: "preview" });
    image.addEventListener("error", () => image.replaceWith(h("p", {}, t("start.noPreview"))));
    return [
      h("div", { class: "preview" }, image),
      h(
        "p",
        { class: "small muted figures" },
        [this.file.name, fileSize(this.file.size)].filter(Boolean).join(" · "),
      ),
    ];
  }

  notesForm() {
    return h(
      "details",
      {},
      h("summary", {}, t("start.notes")),
      h(
        "div",
        { class: "stack" },
        NOTES.map((name) =>
          h(
            "div",
            { class: "field" },
            h("label", { for: name }, t(`note.${name}`)),
            h("input", {
              type: "text",
              id: name,
              maxlength: "500",
              value: this.notes[name] ?? "",
              oninput: (event) => (this.notes[name] = event.target.value),
            }),
          ),
        ),
      ),
    );
  }

  decide() {
    const button = (id, kind, text, act) =>
      h("button", { type: "button", id, class: `button ${kind}`, onclick: act }, text);
    return h(
      "div",
      { class: "actions" },
      !this.error && button("examine", "main", t("start.examine"), () => this.send()),
      button("other", "", t("start.other"), () => {
        this.error = null;
        this.take(null);
        this.draw();
        document.getElementById("camera")?.focus();
      }),
    );
  }

  steps() {
    const order = ["upload", "wait", "compute"];
    const at = order.indexOf(this.phase.name);
    const step = (name, text, side) => {
      const index = order.indexOf(name);
      return h(
        "li",
        {
          class: index < at ? "done" : index === at ? "now" : "",
          "aria-current": index === at && "step",
        },
        h("span", {}, text),
        h("span", { class: "small figures" }, side),
      );
    };
    const { part = 1, place, loading } = this.phase;
    return [
      h("progress", { id: "upload-bar", max: "1", value: part, "aria-label": t("step.upload") }),
      h(
        "ol",
        { class: "steps" },
        step(
          "upload",
          t("step.upload"),
          h("span", { id: "upload-part" }, at === 0 ? percent(part) : ""),
        ),
        step("wait", t("step.wait"), place ? t("step.place", { n: place }) : ""),
        step("compute", t(loading ? "step.loading" : "step.compute"), ""),
      ),
      h(
        "button",
        { type: "button", class: "button", id: "cancel", onclick: () => this.cancel() },
        t("step.cancel"),
      ),
    ];
  }

  more() {
    const classes = classesOf(this.app.model);
    return h(
      "div",
      {},
      classes.length > 0 &&
        h(
          "details",
          {},
          h("summary", {}, counted("limits.conditions", "limits.more", this.app.model)),
          h(
            "ul",
            {},
            classes.map((_, class_id) => h("li", {}, nameOf(this.app.model, { class_id }))),
          ),
        ),
      h(
        "details",
        {},
        h("summary", {}, t("limits.more")),
        h(
          "ul",
          {},
          limitSentences(this.app.model).map((text) => h("li", {}, text)),
        ),
      ),
    );
  }
}
