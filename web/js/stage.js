// The photo with the heatmap over it, and the controls that change how it looks or what it shows.
import { colormaps } from "./colormaps.js";
import { h, note } from "./dom.js";
import { strongest } from "./explanations.js";
import { drawLegend, drawMap } from "./heatmap.js";
import { t, wholePercent } from "./language.js";

const METHODS = ["gradcam", "gradcam++", "hirescam", "xgradcam", "layercam", "eigencam"];
const METHOD_NAMES = {
  gradcam: "Grad-CAM",
  "gradcam++": "Grad-CAM++",
  hirescam: "HiResCAM",
  xgradcam: "XGrad-CAM",
  layercam: "LayerCAM",
  eigencam: "Eigen-CAM",
};
const LONGEST = 768; // pixels of the map's canvas: finer than a screen shows of a 10 x 10 grid

export const methodName = (method) => METHOD_NAMES[method] ?? method;

export class Stage {
  // `choose({method, layer})` is called when another heatmap is wanted. To be set: `chosen`, the method
  // and layer in use; `opened()` for the list of layers, `missed()` for a photo that cannot be shown.
  constructor(choose) {
    this.choose = choose;
    this.look = { on: true, opacity: 0.4, colormap: "jet" };
    this.layers = [];
    this.canvas = h("canvas", { role: "img", id: "map" });
    this.photo = h("img", { id: "photo" });
    this.photo.addEventListener("load", () => this.paint());
  }

  // Shows `sources` in turn until one can be shown.
  setPhoto(...sources) {
    const next = () => {
      const source = sources.shift();
      if (source) this.photo.src = source;
      else {
        this.missing = true;
        this.missed?.();
      }
    };
    this.photo.addEventListener("error", next);
    next();
  }

  set(explanation, name) {
    this.explanation = explanation;
    this.name = name;
    this.paint();
  }

  get shows() {
    return Boolean(this.explanation && !this.explanation.degenerate && this.look.on);
  }

  paint() {
    const { explanation, photo, canvas, look } = this;
    const ratio =
      photo.naturalWidth && photo.naturalHeight ? photo.naturalWidth / photo.naturalHeight : 1;
    canvas.hidden = !this.shows;
    if (!explanation || explanation.degenerate) return;
    canvas.width = Math.max(1, Math.round(LONGEST * Math.min(1, ratio)));
    canvas.height = Math.max(1, Math.round(LONGEST * Math.min(1, 1 / ratio)));
    drawMap(canvas, explanation.grid, explanation.map, look.colormap);
    canvas.style.opacity = look.opacity;
    canvas.setAttribute(
      "aria-label",
      t("result.mapAlt", { name: this.name, place: t(`place.${strongest(explanation)}`) }),
    );
  }

  figure() {
    this.photo.alt = t("result.photoAlt");
    this.paint();
    return h(
      "figure",
      { class: "stage", id: "stage" },
      this.missing ? h("p", { class: "muted" }, t("result.noPhoto")) : this.photo,
      this.canvas,
    );
  }

  // The photo as it is, for the report.
  paper() {
    return (
      !this.missing &&
      h(
        "figure",
        { class: "on-paper", "aria-hidden": "true" },
        h("img", { src: this.photo.src, alt: "" }),
        h("figcaption", {}, t("print.photo")),
      )
    );
  }

  caption() {
    return h(
      "div",
      { class: "caption" },
      h("p", {}, h("span", { class: "muted" }, t("map.for"), " "), h("strong", {}, this.name)),
      !this.explanation.degenerate &&
        h(
          "label",
          { class: "switch" },
          h("input", {
            type: "checkbox",
            id: "on",
            checked: this.look.on,
            onchange: (event) => {
              this.look.on = event.target.checked;
              this.paint();
            },
          }),
          t("map.on"),
        ),
    );
  }

  controls() {
    const { look } = this;
    if (this.explanation.degenerate)
      return [
        note("careful", "info", t("map.degenerate"), h("p", {}, t("map.degenerateText"))),
        this.ways(),
      ];
    const legend = h("canvas", { width: 256, height: 1, "aria-hidden": "true" });
    drawLegend(legend, look.colormap);
    const shown = h("output", { for: "opacity", class: "figures" }, wholePercent(look.opacity));
    return [
      h(
        "div",
        { class: "legend small" },
        h("span", {}, t("map.low")),
        legend,
        h("span", {}, t("map.high")),
      ),
      h(
        "div",
        { class: "slider" },
        h("label", { for: "opacity" }, t("map.opacity"), " ", shown),
        h("input", {
          type: "range",
          id: "opacity",
          min: "0",
          max: "100",
          step: "1",
          value: Math.round(look.opacity * 100),
          oninput: (event) => {
            look.opacity = event.target.value / 100;
            shown.textContent = wholePercent(look.opacity);
            this.canvas.style.opacity = look.opacity;
          },
        }),
      ),
      this.ways(
        this.select(
          "colormap",
          t("map.colours"),
          look.colormap,
          colormaps.map((name) => [name, t(`colour.${name}`)]),
          (name) => {
            look.colormap = name;
            drawLegend(legend, name);
            this.paint();
          },
        ),
      ),
    ];
  }

  // What few people change, folded away.
  ways(...more) {
    const { method, layer } = this.chosen;
    return h(
      "details",
      {
        class: "about",
        id: "ways",
        open: this.waysOpen,
        ontoggle: (event) => {
          this.waysOpen = event.target.open;
          if (this.waysOpen) this.opened();
        },
      },
      h("summary", { id: "ways-title" }, t("map.ways")),
      h(
        "div",
        { class: "knobs" },
        more,
        this.select(
          "method",
          t("map.method"),
          method,
          METHODS.map((name) => [name, methodName(name)]),
          (name) => this.choose({ method: name }),
        ),
        this.select("layer", t("map.layer"), layer, this.layerOptions(), (name) =>
          this.choose({ layer: name }),
        ),
      ),
      h("p", { class: "small muted" }, `${methodName(method)}: ${t(`method.${method}`)}`),
    );
  }

  layerOptions() {
    const text = ({ name, shape }) =>
      shape?.length === 4 ? `${name} (${shape[2]} × ${shape[3]})` : name;
    return [
      ["auto", t("map.layer.auto")],
      ["last_conv", t("map.layer.last_conv")],
      ...this.layers.map((layer) => [layer.name, text(layer)]),
    ];
  }

  select(id, label, value, options, changed) {
    return h(
      "div",
      { class: "field" },
      h("label", { for: id }, label),
      h(
        "select",
        { id, onchange: (event) => changed(event.target.value) },
        options.map(([name, text]) => h("option", { value: name, selected: name === value }, text)),
      ),
    );
  }
}
