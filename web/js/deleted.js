// What is left when a result has been deleted: a confirmation, and the way on.
import { h, icon, replace } from "./dom.js";
import { t } from "./language.js";

export class DeletedView {
  constructor(app) {
    this.app = app;
  }

  draw() {
    this.app.place.className = "narrow stack";
    document.title = "dermlens";
    replace(
      this.app.place,
      h("h1", { tabindex: "-1" }, t("do.deleted")),
      h("p", {}, t("do.deletedText")),
      h(
        "div",
        {},
        h(
          "button",
          { type: "button", class: "button main", onclick: () => this.app.toStart() },
          icon("camera"),
          t("do.another"),
        ),
      ),
    );
    this.app.place.querySelector("h1").focus();
  }

  leave() {}
}
